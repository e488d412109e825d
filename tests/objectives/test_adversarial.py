"""What generator and critic minimise, against closed forms."""

import math

import pytest
import torch
from scipy.stats import wasserstein_distance

from anabranch.networks import MLP
from anabranch.objectives import (
    between,
    nonsaturating_critic,
    nonsaturating_generator,
    slope_penalty,
    wasserstein_critic,
    wasserstein_generator,
)
from tests.registry import seeded

WEIGHT = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.parametrize(("target", "expected"), [(1.0, 16.0), (0.0, 25.0), (5.0, 0.0)])
def test_the_penalty_of_a_linear_critic_is_known(target, expected):
    found = slope_penalty(lambda x: x @ WEIGHT + 2.0, normal(4, 3), target)
    torch.testing.assert_close(found, torch.full((4,), expected).double())


def test_the_penalty_of_a_square_depends_on_the_place():
    x = normal(5, 3)
    found = slope_penalty(lambda x: x.square().sum(-1), x)
    torch.testing.assert_close(found, (2 * x.norm(dim=-1) - 1).square())


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_its_gradient_is_that_of_the_closed_form(target):
    weight = WEIGHT.clone().requires_grad_()
    slope_penalty(lambda x: x @ weight, normal(4, 3), target).mean().backward()
    exact = WEIGHT.clone().requires_grad_()
    (exact.norm() - target).square().backward()
    torch.testing.assert_close(weight.grad, exact.grad)


def test_its_gradient_by_finite_differences():
    critic = MLP(3, 1, (4,), activation="tanh", generator=seeded(1)).double()
    x, weight = normal(6, 3), critic.last.weight
    slope_penalty(critic, x).sum().backward()
    found, step = weight.grad[0, 2].item(), 1e-6
    values = []
    for move in (step, -2 * step):
        with torch.no_grad():
            weight[0, 2] += move
        values.append(slope_penalty(critic, x).sum().item())
    assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_flat_critic_has_a_finite_gradient(target):
    weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    penalty = slope_penalty(lambda x: x @ weight, normal(4, 3), target)
    penalty.sum().backward()
    torch.testing.assert_close(penalty, torch.full((4,), target).double())
    assert torch.isfinite(weight.grad).all()


def test_it_needs_no_gradient_of_the_rows_and_works_without_a_tape():
    with torch.no_grad():
        found = slope_penalty(lambda x: x @ WEIGHT, normal(2, 3).requires_grad_())
    torch.testing.assert_close(found, torch.full((2,), 16.0).double())


def test_the_best_critic_of_slope_one_gives_the_distance():
    """On the line, a sample and its shift: the critic is the identity."""
    x = normal(50)
    distance = wasserstein_distance(x.numpy(), (x - 0.7).numpy())
    assert -wasserstein_critic(x, x - 0.7).item() == pytest.approx(distance)
    assert wasserstein_generator(x).item() == pytest.approx(-x.mean().item())


def test_the_best_log_odds_give_the_divergence_of_jensen_and_shannon():
    """Two coins: the least cross-entropy is 2 log 2 - 2 JS."""
    p, q = torch.tensor([0.5, 0.5]).double(), torch.tensor([0.9, 0.1]).double()
    log_odds = torch.log(p / q)
    # 1000 throws in exact shares stand for the expectation
    real, drawn = (log_odds.repeat_interleave((1000 * c).round().long()) for c in (p, q))
    mean = (p + q) / 2
    shannon = 0.5 * ((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum())
    least = 2 * math.log(2) - 2 * float(shannon)
    assert nonsaturating_critic(real, drawn).item() == pytest.approx(least)
    for change in (0.1, -0.1):
        moved = [values + change for values in (real, drawn)]
        assert nonsaturating_critic(*moved).item() > least


def test_the_generator_learns_from_a_certain_critic():
    value = torch.tensor([-30.0], dtype=torch.float64, requires_grad=True)
    loss = nonsaturating_generator(value)
    loss.backward()
    assert loss.item() == pytest.approx(30.0)
    assert value.grad.item() == pytest.approx(-1.0)


def test_points_between_lie_on_their_lines():
    real, drawn = normal(4, 3), normal(4, 3, seed=1).requires_grad_()
    share = torch.tensor([[0.0], [1.0], [0.5], [0.25]], dtype=torch.float64)
    found = between(real, drawn, share)
    torch.testing.assert_close(found, share * real + (1 - share) * drawn.detach())
    assert not found.requires_grad
