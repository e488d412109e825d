"""Heads: densities that integrate to one, draws that follow them, gradients of draws."""

import math

import pytest
import torch
from scipy import stats

from anabranch.distributions import (
    Bernoulli,
    GaussianMixtureHead,
    LaplaceMixtureHead,
)
from anabranch.distributions.heads import make_head
from tests.battery import same
from tests.registry import seeded

MIXTURES = pytest.mark.parametrize("kind", [GaussianMixtureHead, LaplaceMixtureHead])


def params_of(head, seed=0, scale=1.0):
    shape = (head.n_params, 1)
    return scale * torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


@MIXTURES
@pytest.mark.parametrize("components", [1, 2, 7])
def test_the_density_integrates_to_one_and_starts_with_unit_variance(kind, components):
    head = kind(components)
    x = torch.linspace(-60, 60, 240_001, dtype=torch.float64)
    for params in (torch.zeros(head.n_params, 1, dtype=torch.float64), params_of(head)):
        density = head.log_prob(x, params).exp()
        assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-5)
        if not params.any():
            assert torch.trapezoid(x * density, x).abs() < 1e-9
            assert torch.trapezoid(x * x * density, x).item() == pytest.approx(1, abs=1e-4)


@MIXTURES
def test_the_density_is_the_formula(kind):
    head = kind(3)
    logits, shift, raw = params_of(head).reshape(3, 3)
    offsets = torch.as_tensor(stats.norm.ppf([1 / 6, 3 / 6, 5 / 6]))
    family, variance = {
        GaussianMixtureHead: (stats.norm, 1.0),
        LaplaceMixtureHead: (stats.laplace, 2.0),
    }[kind]
    first = math.sqrt((1 - offsets.square().mean()) / variance)
    scale = first * torch.exp(5 * torch.tanh(raw / 5))
    each = torch.as_tensor(family.pdf(0.3, loc=offsets + shift, scale=scale))
    expected = (torch.softmax(logits, 0) * each).sum().log()
    x = torch.tensor([0.3], dtype=torch.float64)
    same(head.log_prob(x, params_of(head)), expected[None])


@MIXTURES
def test_draws_follow_the_density(kind):
    head = kind(3)
    params = params_of(head, seed=3)
    x = head.sample(params.expand(-1, 4000), seeded(1))
    grid = torch.linspace(-60, 60, 240_001, dtype=torch.float64)
    below = torch.cumulative_trapezoid(head.log_prob(grid, params).exp(), grid).numpy()
    pvalue = stats.kstest(
        x.numpy(), lambda t: below[((t + 60) / 120 * 240_000).astype(int).clip(0, len(below) - 1)]
    ).pvalue
    assert pvalue > 1e-3


@MIXTURES
def test_gradients_of_draws_move_them_at_fixed_probability(kind):
    head, steps = kind(3), 1e-5
    params = params_of(head, seed=4).requires_grad_()
    x = head.sample(params, seeded(2))
    (gradient,) = torch.autograd.grad(x.sum(), params)
    grid = torch.linspace(-60, x.item(), 400_001, dtype=torch.float64)

    def below(p):
        return torch.trapezoid(head.log_prob(grid, p).exp(), grid)

    density = head.log_prob(x, params).exp().item()
    for i in range(head.n_params):
        shift = torch.zeros_like(params)
        shift[i] = steps
        with torch.no_grad():
            slope = (below(params + shift) - below(params - shift)) / (2 * steps)
        assert gradient[i].item() == pytest.approx(-slope.item() / density, abs=1e-5)


@MIXTURES
def test_draws_without_gradients_have_none(kind):
    params = params_of(kind(2)).requires_grad_()
    with torch.no_grad():
        assert not kind(2).sample(params, seeded(0)).requires_grad


@MIXTURES
def test_finite_at_extreme_parameters_and_points(kind):
    head = kind(3)
    for dtype in (torch.float32, torch.float64):
        params = (1e4 * params_of(head)).to(dtype).requires_grad_()
        x = torch.tensor([-1e4, 0.0, 1e4], dtype=dtype, requires_grad=True)
        value = head.log_prob(x, params)
        assert torch.isfinite(value).all()
        gradients = torch.autograd.grad(value.mean(), (x, params))
        assert all(torch.isfinite(g).all() for g in gradients)
        assert torch.isfinite(head.sample(params.detach(), seeded(0))).all()


def test_bernoulli():
    logit = torch.tensor([[0.4]], dtype=torch.float64)
    x = torch.tensor([0.0, 1.0], dtype=torch.float64)
    probability = torch.sigmoid(logit[0, 0])
    same(Bernoulli().log_prob(x, logit).exp(), torch.stack((1 - probability, probability)))
    draws = Bernoulli().sample(logit.expand(1, 20_000), seeded(0))
    assert set(draws.tolist()) == {0.0, 1.0}
    assert draws.mean().item() == pytest.approx(probability.item(), abs=0.015)


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, math.nan])
def test_what_is_no_bit_has_no_probability(value):
    x = torch.tensor([0.0, value])
    with pytest.raises(ValueError, match="0 and 1 only"):
        Bernoulli().log_prob(x, torch.zeros(1, 2))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="components must be an integer of at least 1, got 0"):
        GaussianMixtureHead(0)
    with pytest.raises(ValueError, match="bound must be a positive number"):
        LaplaceMixtureHead(2, bound=0.0)
    with pytest.raises(ValueError, match="head must be"):
        make_head("cauchy")
