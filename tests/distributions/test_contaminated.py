"""The broad density and what it guards: against scipy, and against the mixture written out."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, multivariate_t, t

from anabranch.distributions import ContaminatedMixture, Normal, StudentT
from anabranch.models import flow_mixture
from tests.registry import seeded


@pytest.mark.parametrize(("features", "df", "scale"), [(1, 1, 1.0), (3, 2, 3.0), (7, 5, 0.5)])
def test_the_density_is_that_of_scipy(features, df, scale):
    x = 10 * torch.randn(50, features, generator=seeded(0)).double()
    x[0] = 1e6
    expected = multivariate_t(np.zeros(features), scale**2 * np.eye(features), df).logpdf(x)
    found = StudentT(features, df=df, scale=scale).double().log_prob(x)
    assert found.numpy() == pytest.approx(np.atleast_1d(expected), rel=1e-12)


def test_a_missing_number_is_integrated_out():
    x = torch.tensor([[2.0, torch.nan, -1.0], [torch.nan, torch.nan, torch.nan]])
    found = StudentT(3, df=2, scale=3.0).log_prob(x)
    assert found[0] == pytest.approx(StudentT(2, df=2, scale=3.0).log_prob(x[:1, ::2]).item())
    assert found[1] == 0


def test_far_rows_stay_in_the_range_of_single_precision():
    far = torch.full((1, 20), 1e18)
    assert bool(torch.isfinite(StudentT(20).log_prob(far)).all())


def test_draws_have_its_tails():
    x = StudentT(2, df=2, scale=3.0, batch_shape=(2,)).sample(4000, generator=seeded(1))
    assert x.shape == (2, 4000, 2)
    assert kstest(x[1, :, 0] / 3, t(2).cdf).pvalue > 1e-3
    # the numbers of a row have one scale in common: they are far out together
    assert ((x[0].abs() > 30).all(1).float().mean() / (x[0, :, 0].abs() > 30).float().mean()) > 0.2


def test_it_is_one_more_component_of_which_no_other_is_certain():
    mixture = ContaminatedMixture(
        Normal(2, batch_shape=(3,)), StudentT(2, scale=3.0), 0.1, [0.2, 0.3, 0.5]
    )
    x = torch.tensor([[0.0, 1.0], [50.0, -900.0]])
    expected = 0.9 * Normal(2).log_prob(x).exp() + 0.1 * StudentT(2, scale=3.0).log_prob(x).exp()
    assert torch.allclose(mixture.log_prob(x).exp(), expected)
    assert torch.allclose(mixture.log_posterior(x).exp()[:, 1], mixture.log_weights.exp())
    assert torch.allclose(mixture.clean.log_prob(x), Normal(2).log_prob(x))
    assert mixture.broad_log_prob(x)[1] == pytest.approx(mixture.log_prob(x)[1].item())
    mixture.set_share(0.5)
    assert float(mixture.share) == pytest.approx(0.5)
    # a component has its part, and its draws are as far out
    assert torch.allclose(mixture.component(1).log_prob(x), mixture.component_log_prob(x)[1])
    drawn, labels = mixture.sample_with_labels(4000, generator=seeded(0))
    assert labels.bincount().tolist() == pytest.approx([800, 1200, 2000], rel=0.1)
    far = 0.5 * StudentT(2, scale=3.0).sample(4000, generator=seeded(1)).norm(dim=1).gt(6).float()
    assert drawn.norm(dim=1).gt(6).float().mean() == pytest.approx(far.mean().item(), abs=0.03)


def test_the_view_without_the_broad_density_shares_its_memory():
    mixture = ContaminatedMixture(Normal(1, batch_shape=(2,)), StudentT(1), 0.1)
    mixture.clean.set_weights(torch.tensor([0.9, 0.1]))
    assert mixture.log_weights.exp().tolist() == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="share must be in"):
        ContaminatedMixture(Normal(1), StudentT(1), share)


def test_what_the_broad_density_must_be():
    with pytest.raises(ValueError, match=r"broad must have event_shape \(1,\)"):
        ContaminatedMixture(Normal(1), StudentT(2))
    with pytest.raises(ValueError, match=r"broad must have batch_shape \(\)"):
        ContaminatedMixture(Normal(1, batch_shape=(2,)), StudentT(1, batch_shape=(2,)))
    with pytest.raises(TypeError, match="StudentT has no cdf"):
        ContaminatedMixture(Normal(1), StudentT(1)).cdf(torch.zeros(1, 1))


@pytest.mark.parametrize("changes", [{"flow": None}, {"hedge": True}, {"categories": [3]}])
def test_no_row_is_out_of_reach_of_a_contaminated_mixture(changes):
    model = flow_mixture(2, 3, contamination=0.01, seed=0, **changes)
    x = torch.tensor([[1e3, -1e3, 1.0]])[:, : 2 + len(changes.get("categories", ()))]
    assert model.mixture.log_prob(x).item() > -40
