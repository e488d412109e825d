"""Pair copulas: against their closed forms, and against derivatives of their cumulatives."""

import pytest
import torch

from anabranch.functional.normal_scores import log_cdf_pair, normal_score
from anabranch.functional.pair_copulas import FAMILIES, TURNS, ClaytonPair, FrankPair, pair_copula
from tests.battery import same
from tests.registry import seeded

U, V = 0.01 + 0.98 * torch.rand(2, 200, generator=seeded(0), dtype=torch.float64)
X, Y = torch.special.ndtri(U), torch.special.ndtri(V)
THETA = torch.tensor(2.5, dtype=torch.float64)


def gaussian_density(u, v, rho):
    a, b = torch.special.ndtri(u), torch.special.ndtri(v)
    rest = 1 - rho.square()
    square = rho.square() * (a.square() + b.square()) - 2 * rho * a * b
    return -0.5 * rest.log() - square / (2 * rest)


def clayton_cdf(u, v, theta):
    return (u**-theta + v**-theta - 1) ** (-1 / theta)


def frank_cdf(u, v, theta):
    product = torch.expm1(-theta * u) * torch.expm1(-theta * v)
    return -torch.log1p(product / torch.expm1(-theta)) / theta


def mixed_derivative(cdf, u, v, theta):
    """The density of a copula from its cumulative, and its h-function."""
    u, v = (t.clone().requires_grad_() for t in (u, v))
    (h,) = torch.autograd.grad(cdf(u, v, theta).sum(), v, create_graph=True)
    (density,) = torch.autograd.grad(h.sum(), u)
    return density, h.detach()


@pytest.mark.parametrize(("family", "cdf"), [(ClaytonPair, clayton_cdf), (FrankPair, frank_cdf)])
@pytest.mark.parametrize("turn", TURNS)
def test_the_cumulative_gives_h_and_density(family, cdf, turn):
    pair = family(turn)
    raw = pair.raw(THETA)
    u, v = (1 - U if TURNS[turn][0] < 0 else U), (1 - V if TURNS[turn][1] < 0 else V)
    density, h = mixed_derivative(cdf, u, v, THETA)
    same(pair.log_density(X, Y, raw), density.log(), 1e-9)
    same(torch.special.ndtr(pair.given(X, Y, raw)[0]), 1 - h if TURNS[turn][0] < 0 else h, 1e-10)


def test_clayton_is_the_closed_form():
    expected = (
        torch.log1p(THETA)
        - (1 + THETA) * (U * V).log()
        - (2 + 1 / THETA) * (U**-THETA + V**-THETA - 1).log()
    )
    pair = ClaytonPair()
    same(pair.log_density(X, Y, pair.raw(THETA)), expected, 1e-10)


@pytest.mark.parametrize("rho", [-0.95, 0.0, 0.6])
def test_gaussian_is_the_closed_form(rho):
    rho, pair = torch.tensor(rho, dtype=torch.float64), pair_copula("gaussian")
    same(pair.log_density(X, Y, pair.raw(rho)), gaussian_density(U, V, rho), 1e-10)


@pytest.mark.parametrize("name", ["gaussian", "clayton", "clayton90", "clayton270", "frank90"])
def test_order_and_inverse(name):
    pair = pair_copula(name)
    raw = torch.tensor(0.7, dtype=torch.float64)
    same(pair.swapped.log_density(Y, X, raw), pair.log_density(X, Y, raw), 1e-10)
    z, log_slope = pair.given(X, Y, raw)
    back, log_back = pair.ungiven(z, Y, raw)
    same(back, X, 1e-9)
    same(log_back, -log_slope, 1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_integrate_to_uniform_marginals(name):
    """The integral over u of c(u, v) is one at each v; nodes of Gauss on the scores."""
    pair = pair_copula(name)
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    y = torch.tensor([[-2.0], [0.0], [1.5]], dtype=torch.float64)
    density = (pair.log_density(x, y, torch.zeros((), dtype=torch.float64))).exp()
    normal = torch.exp(-x.square() / 2) / (2 * torch.pi) ** 0.5
    same(torch.trapezoid(density * normal, x), torch.ones(3, dtype=torch.float64), 1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_digit_is_lost_far_in_the_tails(name):
    """At 30 standard deviations u is 1 in double precision, but its score is not infinite."""
    pair, raw = pair_copula(name), torch.tensor(0.5, dtype=torch.float64)
    x, y = torch.tensor([[-30.0, -12.0, 12.0, 30.0], [1.0, -1.0, 0.5, 0.0]], dtype=torch.float64)
    z, _ = pair.given(x, y, raw)
    same(pair.ungiven(z, y, raw)[0], x, 1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_parameter_and_its_number(name):
    pair, raw = pair_copula(name), torch.linspace(-3, 3, 7, dtype=torch.float64)
    same(pair.raw(pair.parameter(raw)), raw, 1e-9)


def test_scores_have_derivatives_to_order_two():
    x = torch.tensor([-40.0, -3.0, -0.1, 0.2, 3.0, 12.0], dtype=torch.float64)

    def score(t):
        return normal_score(*log_cdf_pair(t))

    for point in x:
        same(torch.autograd.functional.jacobian(score, point), torch.ones_like(point), 1e-9)
        same(torch.autograd.functional.hessian(score, point), torch.zeros_like(point), 1e-6)


@pytest.mark.parametrize("name", ["gumbel", "clayton45", ""])
def test_unknown_families(name):
    with pytest.raises(ValueError, match=f"'clayton', 'frank', 'gaussian'.*{name!r}"):
        pair_copula(name)
    with pytest.raises(ValueError, match=r"turn.*\[0, 90, 180, 270\].*45"):
        ClaytonPair(45)
