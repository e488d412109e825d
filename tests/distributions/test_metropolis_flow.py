"""Random walks as layers: their weights, where they end, and what is refused."""

import math

import pytest
import torch

from anabranch.distributions import DiagonalNormal, MetropolisFlow, Normal
from tests.registry import seeded


def target(z, context):
    """A normal of standard deviations 1 and .5, at 1 and 0, times e^3."""
    std, loc = z.new_tensor([1.0, 0.5]), z.new_tensor([1.0, 0.0])
    squares = ((z - loc) / std).square().sum(-1)
    return 3.0 - 0.5 * squares - math.log(2 * math.pi) - math.log(0.5)


@torch.no_grad()
def test_weights_are_unbiased_and_better_than_those_of_the_base():
    base = Normal(2, std=2.0)
    flow = MetropolisFlow(base, target, n_levels=16, n_steps=4, step=0.7)
    z, log_q = flow.sample_and_log_prob(8000, generator=seeded(1))
    w = torch.exp(target(z, None) - log_q - 3.0).double()
    assert abs(w.mean() - 1) < 4 * w.std() / len(w) ** 0.5
    x, log_base = base.sample_and_log_prob(8000, generator=seeded(1))
    plain = torch.exp(target(x, None) - log_base - 3.0).double()
    assert w.std() < 0.6 * plain.std()


@torch.no_grad()
def test_a_long_walk_ends_in_the_target():
    flow = MetropolisFlow(Normal(2), target, n_levels=10, n_steps=30, step=0.9)
    z = flow.sample(4000, generator=seeded(2))
    torch.testing.assert_close(z.mean(0), torch.tensor([1.0, 0.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([1.0, 0.5]), atol=0.06, rtol=0)


@torch.no_grad()
def test_the_mean_of_the_density_over_walks_integrates_to_one():
    flow = MetropolisFlow(Normal(1), lambda z, c: -z.square().sum(-1), n_levels=2, step=0.8)
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64).unsqueeze(-1)
    flow = flow.double()
    density = torch.stack([flow.log_prob(grid, generator=seeded(s)).exp() for s in range(20)]).mean(
        0
    )
    assert density.sum().item() * 12 / 4000 == pytest.approx(1.0, abs=0.02)


def test_the_base_gets_a_gradient():
    flow = MetropolisFlow(DiagonalNormal(2), target, n_levels=2)
    z, log_q = flow.rsample_and_log_prob(50, generator=seeded(0))
    (log_q - target(z, None)).mean().backward()
    assert all(p.grad is not None for p in flow.parameters())


@pytest.mark.parametrize("settings", [{"n_levels": 0}, {"n_steps": 1.5}, {"step": 0.0}])
def test_wrong_settings_are_refused_by_name(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        MetropolisFlow(Normal(2), target, **settings)
