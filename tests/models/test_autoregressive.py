"""Autoregressive models as components of mixtures."""

import pytest
import torch

from anabranch.distributions import AutoregressiveModel, OrderlessModel
from anabranch.estimators import FlowMixture
from anabranch.models import flow_mixture, made, nade, rnade
from anabranch.problems import GaussianMixtureProblem
from tests.registry import seeded


@pytest.mark.parametrize(
    "flow",
    [
        {"name": "rnade", "hidden": 8, "components": 2},
        {"name": "made", "head": "laplacians", "components": 2, "hidden": [8], "n_orderings": 2},
    ],
    ids=["rnade", "made"],
)
def test_a_mixture_of_them_starts_as_gaussians_and_fits(flow):
    X, _ = GaussianMixtureProblem().sample(400, random_state=100)
    start = FlowMixture(3, flow=flow, max_epochs=0, random_state=0).fit(X).score(X)
    gaussians = FlowMixture(3, flow=None, max_epochs=0, random_state=0).fit(X).score(X)
    assert start == pytest.approx(gaussians, abs=0.2)
    mixture = FlowMixture(3, flow=flow, max_epochs=3, random_state=0).fit(X)
    assert mixture.score(X) > start - 0.05
    assert mixture.sample(5)[0].shape == (5, 2)


@pytest.mark.parametrize("flow", ["nade", "made", {"name": "made", "n_orderings": 2}])
def test_bits_are_no_component_of_a_mixture_of_real_numbers(flow):
    with pytest.raises(ValueError, match="no density of real numbers: it cannot be a component"):
        flow_mixture(2, 2, flow=flow)


def test_only_a_flow_is_a_trunk():
    with pytest.raises(ValueError, match="'rnade' builds no flow: it cannot be a trunk"):
        flow_mixture(2, 2, trunk="rnade")


def test_what_the_recipes_build():
    assert isinstance(made(3), AutoregressiveModel)
    assert isinstance(made(3, n_orderings=2), OrderlessModel)
    assert made(3).discrete
    assert nade(3).discrete
    assert not rnade(3).discrete
    assert not made(3, head="gaussians", n_orderings=2).discrete


def test_wrong_arguments():
    with pytest.raises(ValueError, match="n_orderings must be at least 1, got 0"):
        made(3, n_orderings=0)
    with pytest.raises(ValueError, match="head must be 'gaussians' or 'laplacians'"):
        rnade(3, head="bernoulli")


@pytest.mark.parametrize("components", [1, 5])
def test_a_fresh_rnade_is_about_the_standard_normal(components):
    x = torch.randn(2000, 3, generator=seeded(0))
    log_prob = rnade(3, components=components, seed=0).log_prob(x)
    normal = torch.distributions.Normal(0, 1).log_prob(x).sum(1)
    assert (log_prob - normal).mean().abs() < 0.15
    assert components > 1 or torch.allclose(log_prob, normal, atol=1e-5)
