"""What measure theory says of images of measures, beside what our parts compute."""

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.distributions import (
    Exponential,
    Flow,
    Gamma,
    Laplace,
    Normal,
    Uniform,
)
from anabranch.transforms import Compose, LULinear, Standardize, TriangularAffine


def test_a_discrete_law_is_pushed_forward_by_a_map_that_is_not_injective():
    """P(Y = y) is the sum of P(X = x) over the preimage of y: here of (x - 2)^2 on 0..4."""
    shares = torch.tensor([0.1, 0.15, 0.2, 0.25, 0.3]).double()
    draws = torch.multinomial(shares, 200_000, True, generator=torch.Generator().manual_seed(0))
    image = (draws - 2) ** 2
    truth = {0: 0.2, 1: 0.15 + 0.25, 4: 0.1 + 0.3}
    found = {y: float((image == y).double().mean()) for y in truth}
    assert set(image.unique().tolist()) == set(truth)
    assert found == pytest.approx(truth, abs=0.005)


@pytest.mark.parametrize(
    ("first", "second", "law"),
    [
        (Exponential(1, rate=1.0), Exponential(1, rate=1.0), stats.gamma(2)),
        (Normal(1), Normal(1, std=2.0), stats.norm(0, 5**0.5)),
        (Uniform(1), Uniform(1), stats.triang(0.5, 0, 2)),
    ],
)
def test_the_density_of_a_sum_is_the_convolution(first, second, law):
    grid = torch.linspace(-20, 20, 8001, dtype=torch.float64).unsqueeze(-1)
    step = 40 / 8000
    one, other = (
        d.double().log_prob(grid.clamp(*_inside(d))).exp() * _within(d, grid)
        for d in (first, second)
    )
    sums = np.convolve(one.numpy(), other.numpy())[4000:12001] * step
    assert np.abs(sums - law.pdf(grid.flatten().numpy())).max() < 0.01
    source = torch.Generator().manual_seed(0)
    draws = first.sample(20_000, generator=source) + second.sample(20_000, generator=source)
    assert stats.kstest(draws.flatten().double().numpy(), law.cdf).pvalue > 0.01


def _inside(distribution):
    domain = distribution.domain
    return getattr(domain, "lower", -np.inf), getattr(domain, "upper", np.inf)


def _within(distribution, grid):
    low, high = _inside(distribution)
    return ((grid >= low) & (grid < high)).flatten()


def test_location_and_scale_move_a_density():
    """The density of a + b X at y is f((y - a) / b) / |b|."""
    a, b = 3.0, 2.0
    y = torch.linspace(-2, 8, 11, dtype=torch.float64).unsqueeze(-1)
    standardize = Standardize(1)
    standardize.loc.fill_(a)
    standardize.scale.fill_(b)
    moved = Flow(Laplace(1), standardize).double()
    truth = stats.laplace(a, b).logpdf(y.flatten().numpy())
    assert np.allclose(moved.log_prob(y), truth)


def test_linear_maps_divide_by_the_determinant():
    """Y = A X of a standard normal X is normal with covariance A A^T."""
    generator = torch.Generator().manual_seed(0)
    linear = LULinear(3, generator=generator).double()
    affine = TriangularAffine(3).double()
    affine.set_gaussian(torch.tensor([1.0, 2.0, 3.0]), 2 * torch.eye(3))
    flow = Flow(Normal(3), Compose([affine, linear])).double()
    whole = torch.func.jacrev(lambda x: flow.transform.encode(x)[0])(torch.zeros(1, 3).double())
    matrix = torch.linalg.inv(whole[0, :, 0].detach())
    law = stats.multivariate_normal([1, 2, 3], (matrix @ matrix.T).numpy())
    x = torch.randn(20, 3, generator=generator).double()
    assert np.allclose(flow.log_prob(x).detach(), law.logpdf(x.numpy()))


def test_gammas_add_their_shapes():
    source = torch.Generator().manual_seed(1)
    parts = [Gamma(1, concentration=c).sample(20_000, generator=source) for c in (0.5, 1.5)]
    found = stats.kstest((parts[0] + parts[1]).flatten().double().numpy(), stats.gamma(2).cdf)
    assert found.pvalue > 0.01
