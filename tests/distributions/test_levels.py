"""Heads of integers: sums of one, the formula, draws, far tails."""

import pytest
import torch
from scipy import stats

from anabranch.distributions import Bernoulli, Categorical, DiscretizedLogistics, Tempered
from anabranch.distributions.levels import make_level_head
from tests.battery import same
from tests.registry import seeded

HEADS = [Categorical(5), DiscretizedLogistics(5, 2), Tempered(DiscretizedLogistics(7, 3), 0.6)]
each_head = pytest.mark.parametrize("head", HEADS, ids=["softmax", "logistics", "tempered"])


def params_of(head, scale=1.0, n=4):
    return scale * torch.randn(head.n_params, n, dtype=torch.float64, generator=seeded(0))


def table(head, params):
    """Log-probabilities of all levels, (levels, n)."""
    n_levels = head.domain.levels
    levels = torch.arange(n_levels, dtype=params.dtype)[:, None].expand(-1, params.shape[1])
    return head.log_prob(levels, params.unsqueeze(1))


@each_head
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_probabilities_sum_to_one(head, scale):
    log_probs = table(head, params_of(head, scale))
    assert torch.isfinite(log_probs).all()
    same(log_probs.logsumexp(0), torch.zeros(4, dtype=torch.float64), 1e-12)


@each_head
def test_distribution_function_and_its_inverse(head):
    params, n = params_of(head), head.domain.levels
    sums = table(head, params).exp().cumsum(0)
    for level in range(n):
        x = torch.full((4,), float(level), dtype=torch.float64)
        same(head.cdf(x, params), sums[level], 1e-12)
        same(head.icdf(sums[level] - 1e-9, params), x, 0.0)
    assert (head.cdf(x - n, params) == 0).all()


@each_head
def test_draws_follow_the_probabilities(head):
    params = params_of(head, n=1)
    x = head.sample(params.expand(-1, 4000), seeded(1))
    counts = torch.bincount(x.long(), minlength=head.domain.levels).double()
    expected = table(head, params)[:, 0].exp() * 4000
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


def test_logistics_are_the_formula():
    head = DiscretizedLogistics(9, 2)
    logits, means, raw = params_of(head, n=1).reshape(3, 2)
    middle = 4 + 4 * (means + torch.tensor([-0.5, 0.5]))
    scale = 2 * torch.exp(7 * torch.tanh(raw / 7))
    edges = torch.arange(8) + 0.5
    below = torch.sigmoid((edges[:, None] - middle) / scale)
    cells = torch.diff(below, dim=0, prepend=torch.zeros(1, 2), append=torch.ones(1, 2))
    expected = (torch.softmax(logits, 0) * cells).sum(1)
    same(table(head, params_of(head, n=1))[:, 0].exp(), expected, 1e-12)


def test_logistics_are_finite_and_have_gradients_far_away():
    head = DiscretizedLogistics(256, 1)
    params = torch.tensor([[0.0], [1000.0], [-50.0]], requires_grad=True)
    log_prob = head.log_prob(torch.zeros(1), params)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(params.grad).all()
    assert params.grad[1] < 0


@pytest.mark.parametrize("head", [Bernoulli(), Categorical(3)], ids=["bits", "softmax"])
def test_a_temperature_is_a_power_of_the_probabilities(head):
    params = params_of(head)
    cold = table(Tempered(head, 0.5), params)
    same(cold, torch.log_softmax(2 * table(head, params), 0), 1e-12)


def test_a_temperature_of_one_changes_nothing():
    head = DiscretizedLogistics(6, 2)
    params = params_of(head)
    same(table(Tempered(head, 1.0), params), table(head, params), 1e-9)


def test_colder_logistics_are_narrower():
    head = DiscretizedLogistics(32, 2)
    params = params_of(head)
    spread = [
        head_.sample(params.repeat(1, 500), seeded(0)).reshape(500, 4).std(0).mean()
        for head_ in (head, Tempered(head, 0.3))
    ]
    assert spread[1] < 0.8 * spread[0]


@pytest.mark.parametrize("head", [Categorical(4), DiscretizedLogistics(4)])
@pytest.mark.parametrize("wrong", [-1.0, 4.0, 0.5, float("nan")])
def test_numbers_that_are_no_level(head, wrong):
    with pytest.raises(ValueError, match=r"x must hold the integers 0\.\.3 only, got"):
        head.log_prob(torch.tensor([wrong]), torch.zeros(head.n_params, 1))


def test_wrong_settings():
    with pytest.raises(ValueError, match="levels must be an integer of at least 2, got 1"):
        Categorical(1)
    with pytest.raises(ValueError, match="components must be an integer of at least 1, got 0"):
        DiscretizedLogistics(4, 0)
    with pytest.raises(ValueError, match="temperature must be a positive number, got 0"):
        Tempered(Bernoulli(), 0)
    with pytest.raises(ValueError, match="head must be one of"):
        make_level_head(4, "gaussians")
    assert make_level_head(2) == Bernoulli()
