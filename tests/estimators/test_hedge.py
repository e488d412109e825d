"""The hedge: how far rows may fall below the start, and what the flows weigh."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from anabranch import FlowDensity, FlowGMM, load, save
from anabranch.distributions import Hedged
from anabranch.models import flow_mixture
from anabranch.procedures.gaussian_guard import fitted_share, hedge_weights, settle
from tests.estimators.data import FLOW, bent, blobs, moved, quick
from tests.registry import perturb, seeded

X, _ = bent()
# rows of the data, and rows far from all of them
Z = torch.cat([torch.as_tensor(X), 20 * torch.randn(50, 2, generator=seeded(0))]).double()


def rows_of(mixture, part, weights, z):
    """Log-density under the flows or the anchors of a mixture alone, component by component."""
    (group,) = mixture.groups
    parts = getattr(group, part).log_prob(z).detach().numpy()
    return logsumexp(parts, axis=0, b=weights[:, None])


def hedged_model(**changes):
    """Flows away from the identity and anchors of their own, in float64."""
    model = perturb(
        flow_mixture(2, 2, flow=FLOW, hedge=True, seed=0, **changes).requires_grad_(False)
    )
    return model.double().mixture


def test_settled_it_is_a_mixture_of_flows_and_start():
    mixture = hedged_model()
    flows, anchors = hedge_weights(mixture, anchors=False), torch.tensor([0.9, 0.1]).double()
    f = rows_of(mixture, "density", flows.numpy(), Z)
    g = rows_of(mixture, "anchor", anchors.numpy(), Z)
    settle(mixture, anchors, Z)
    a = fitted_share(torch.as_tensor(f - g))
    expected = np.logaddexp(np.log(a) + f, np.log1p(-a) + g)
    assert np.allclose(mixture.log_prob(Z).detach().numpy(), expected, atol=1e-9)
    assert (g - expected).max() <= -np.log1p(-a) + 1e-9
    assert np.allclose(hedge_weights(mixture, anchors=True), anchors)
    assert np.allclose(hedge_weights(mixture, anchors=False), flows)


def test_given_weights_stay():
    mixture = hedged_model(learn_weights=False)
    mixture.set_weights(torch.tensor([0.3, 0.7]).double())
    mixture.groups[0].set_share(torch.tensor([0.8, 0.8]).double())
    settle(mixture, hedge_weights(mixture, anchors=True), Z)
    assert np.allclose(mixture.log_weights.exp(), [0.3, 0.7])


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_the_share_is_that_of_the_rows(share):
    random = np.random.RandomState(0)
    x = np.where(random.rand(4000) < share, random.randn(4000), 3 + random.randn(4000))
    gain = torch.as_tensor(((x - 3) ** 2 - x**2) / 2)  # N(0, 1) against N(3, 1)
    assert fitted_share(gain) == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)


@pytest.mark.parametrize(("gain", "rows"), [(60.0, 9), (-60.0, 1)])
def test_the_share_never_is_zero_or_one(gain, rows):
    assert fitted_share(torch.full((8,), gain)) == pytest.approx(rows / 10)


def test_a_flow_that_is_lost_on_a_row_has_lost_it():
    mixture = hedged_model()
    stray = torch.full((1, 2), 1e200, dtype=torch.float64)
    settle(mixture, torch.tensor([0.5, 0.5]).double(), torch.cat([Z, stray]))
    assert mixture.groups[0].share.isfinite().all()


def test_no_row_falls_far_below_the_start():
    mixture = moved().fit(X)
    far = np.concatenate([X, X * 30])
    assert mixture.fit_result_.best_epoch > 0
    weights = hedge_weights(mixture.model_.mixture, anchors=True).numpy()
    z = mixture.preparation_.transform.encode(torch.as_tensor(far))[0].double()
    start = rows_of(mixture.model_.double().mixture, "anchor", weights, z)
    found = mixture.model_.mixture.log_prob(z).detach().numpy()
    share = (mixture.weights_ * mixture.model_.mixture.groups[0].share.numpy()).sum()
    assert (start - found).max() <= -np.log1p(-share) + 1e-4
    assert share > 0.5
    assert mixture.facts()["share_of_flows"] == pytest.approx(share, abs=0.05)


def test_plain_gaussians_go_back_to_the_start():
    rows, _ = blobs(600)
    mixture = quick(max_epochs=30).fit(rows)
    assert mixture.score(rows) == pytest.approx(quick(max_epochs=0).fit(rows).score(rows))


def test_the_density_of_a_table_is_hedged_too(tmp_path):
    context = np.eye(2)[np.arange(len(X)) % 2]
    flow = {"name": "maf", "n_layers": 1}
    density = FlowDensity(flow, max_epochs=3, fit_options={"keep": "last"}, random_state=0)
    density.fit(X, context=context)
    z, C = Z.float(), torch.zeros(len(Z), 2)
    fall = density.model_.anchor.log_prob(z, C) - density.model_.log_prob(z, C)
    assert fall.max() <= -torch.log1p(-density.model_.share) + 1e-3
    save(density, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert np.array_equal(
        again.score_samples(X, context=context), density.score_samples(X, context=context)
    )


def test_what_is_not_hedged():
    plain = quick(hedge=False).fit(X).model_.mixture, quick(flow=None).fit(X).model_.mixture
    random = FlowGMM(2, flow=FLOW, means={"start": "random"}, max_epochs=1).fit(X).model_.mixture
    assert not any(isinstance(group, Hedged) for m in (*plain, random) for group in m.groups)
    with pytest.raises(ValueError, match="hedge must be True or False, got 1"):
        quick(hedge=1).fit(X)
