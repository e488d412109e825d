"""TzK: both factorisations by hand, types that come later, and what is unknown."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from anabranch.estimators import load, save
from anabranch.models import tzk
from anabranch.objectives import DualFactorization
from anabranch.training import FitOptions, fit
from tests.registry import perturb, seeded

FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
SMALL = {"flow": FLOW, "decoder": FLOW, "hidden": [8]}


def small(types=("a", "b"), **changes):
    return perturb(tzk(2, types=list(types), **{**SMALL, **changes}, seed=0))


def rows(n=6, types=2):
    x = torch.randn(n, 2, generator=seeded(0))
    existence = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, -1], [-1, -1]])[:n, :types]
    return {"x": x, "existence": existence.float()}


def test_both_factorisations_by_hand():
    model, batch = small(), rows()
    z, term = model.common.transform.encode(batch["x"])
    log_pt = model.log_prob(batch["x"])
    encoder = decoder = log_pt.clone()
    for i, own in enumerate(model.types):
        for n, e in enumerate(batch["existence"][:, i]):
            if e < 0:
                continue
            sign = 1 if e else -1
            given = own.decoder.log_prob(z)[n] + term[n] - log_pt[n] if e else 0.0
            encoder = encoder.index_add(
                0, torch.tensor([n]), logsigmoid(sign * own.existence_logit(z)[n : n + 1])
            )
            change = logsigmoid(sign * own.prior_logit) + given
            decoder = decoder.index_add(0, torch.tensor([n]), change.reshape(1))
    loss = DualFactorization(model)(batch)
    assert loss.total.item() == pytest.approx(-0.5 * (encoder + decoder).mean().item(), rel=1e-5)
    assert loss.terms["nll"].item() == pytest.approx(-log_pt.mean().item(), rel=1e-5)
    weights = torch.tensor([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    alone = DualFactorization(model)(batch | {"weights": weights}).total
    assert alone.item() == pytest.approx(-0.5 * (encoder + decoder)[0].item(), rel=1e-5)


def test_given_codes_are_scored_by_both():
    model = small(code_features=1)
    codes = torch.randn(6, 2, 1, generator=seeded(1))
    batch = {**rows(), "existence": torch.ones(6, 2)}
    batch["existence"][:, 1] = -1
    own, (z, _) = model.types[0], model.common.transform.encode(batch["x"])
    q = own.encoder.log_prob(codes[:, 0], z)
    joint = own.decoder.log_prob(z, codes[:, 0]) + own.codes.log_prob(codes[:, 0])
    known = DualFactorization(model)(batch | {"codes": codes}).terms
    encoder = q + logsigmoid(own.existence_logit(z))
    decoder = joint + logsigmoid(own.prior_logit) - model.common.base.log_prob(z)
    assert known["encoder"].item() == pytest.approx(-encoder.mean().item(), rel=1e-5)
    assert known["decoder"].item() == pytest.approx(-decoder.mean().item(), rel=1e-5)


@pytest.mark.slow
def test_with_codes_the_density_is_bounded_from_below():
    model = small(code_features=1)
    x = rows()["x"]
    grid = torch.linspace(-8, 8, 801).reshape(-1, 1, 1).expand(-1, 6, 1)
    flow, own = model.given("a"), model.types[0]
    z = torch.stack([flow.log_prob(x, c) + own.codes.log_prob(c) for c in grid])
    exact = z.logsumexp(0) + torch.tensor(0.02).log()
    bounds = [model.log_prob_given(x, "a", n_draws=n, generator=seeded(0)) for n in (1, 2000)]
    torch.testing.assert_close(bounds[1], exact, atol=0.1, rtol=0)
    assert (bounds[0] - exact).mean() < (bounds[1] - exact).mean() + 1e-3


def test_a_type_that_comes_later_changes_nothing(tmp_path):
    model, x = small(), rows()["x"]
    before, other = model.log_prob(x), model.log_prob_given(x, "a")
    more = model.with_type("c", seed=1)
    assert torch.equal(more.log_prob(x), before)
    assert torch.equal(more.log_prob_given(x, "a"), other)
    batch = {"x": x.repeat(10, 1), "existence": torch.tensor([[-1.0, -1.0, 1.0]]).expand(60, 3)}
    objective = DualFactorization(more, types=["c"], frozen=True)
    start = objective(batch, generator=seeded(0)).total
    options = FitOptions(
        max_epochs=5, batch_size=20, weight_decay=0.1, learning_rate=0.01, progress=False
    )
    fit(objective, batch, options=options)
    assert objective(batch, generator=seeded(0)).total < start
    assert torch.equal(more.log_prob(x), before)
    assert torch.equal(more.log_prob_given(x, "a"), other)
    assert torch.equal(more.existence(x, "b"), model.existence(x, "b"))
    save(more, tmp_path / "m")
    assert torch.equal(load(tmp_path / "m").log_prob_given(x, "c"), more.log_prob_given(x, "c"))


def test_existence_by_bayes():
    model, x = small(), rows()["x"]
    expected = (
        torch.sigmoid(model.types[1].prior_logit)
        * (model.log_prob_given(x, "b") - model.log_prob(x)).exp()
    )
    torch.testing.assert_close(model.decoded_existence(x, "b"), expected.clamp_max(1))


def test_misuse_is_named():
    with pytest.raises(ValueError, match="types must be different names"):
        tzk(2, types=["a", "a"])
    with pytest.raises(ValueError, match="no type of knowledge 'd'; there are a, b"):
        small().type_of("d")
    with pytest.raises(ValueError, match="there is a type 'a'"):
        small().with_type("a")
    with pytest.raises(ValueError, match="flow must be the recipe of a flow"):
        tzk(2, types=["a"], flow="rnade")
