"""Autocast, inference mode and `torch.func`: the same density, to the digit, or to all orders."""

import pytest
import torch

import anabranch.models as models
from anabranch.distributions import DiagonalNormal, Mixture
from anabranch.functional.roots import find_root
from anabranch.transforms import (
    Affine,
    BlockAutoregressive,
    Coupling,
    DeepSigmoidal,
    Elementwise,
    GatedAffine,
    LULinear,
    MixtureLogisticCDF,
    Moebius,
    Planar,
    Rotation,
    TriangularAffine,
)
from tests.registry import perturb, seeded

# torch itself scripts something when `torch.func` runs forward mode for the first time
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")

X = torch.randn(6, 2, generator=seeded(0), dtype=torch.float64)
MULTIPLY = {
    "affine": lambda: Coupling(Affine(), 2),
    "gated": lambda: Coupling(GatedAffine(), 2),
    "lu": lambda: LULinear(2),
    "rotation": lambda: Rotation(2),
    "triangular": lambda: TriangularAffine(2),
    "block": lambda: BlockAutoregressive(2, hidden=(3,)),
    "planar": lambda: Planar(2),
}
SEARCHED = {
    "block": lambda: BlockAutoregressive(2, hidden=(3,), generator=seeded(0)),
    "planar": lambda: Planar(2, generator=seeded(0)),
    "mixture": lambda: Elementwise(MixtureLogisticCDF(components=2), 2),
    "monotone": lambda: Elementwise(DeepSigmoidal(hidden=2), 2),
    "moebius": lambda: Elementwise(Moebius(components=2), 2),
}


@pytest.mark.parametrize("name", MULTIPLY)
def test_autocast_changes_no_digit(name):
    transform = perturb(MULTIPLY[name]())
    plain = transform.encode(X.float())
    with torch.autocast("cpu", torch.bfloat16):
        z, term = transform.encode(X.float())
        x, _ = transform.decode(z)
    torch.testing.assert_close((z, term), plain, atol=0, rtol=0)
    torch.testing.assert_close(x, X.float(), atol=1e-3, rtol=1e-3)


def test_autocast_leaves_densities_and_draws():
    mixture = Mixture(DiagonalNormal(2, context_features=2, batch_shape=(3,)))
    perturb(mixture)
    plain = mixture.log_prob(X.float(), X.float())
    draws = mixture.sample((), X.float(), seeded(0))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mixture.log_prob(X.float(), X.float()), plain, atol=0, rtol=0)
        torch.testing.assert_close(mixture.sample((), X.float(), seeded(0)), draws)


@pytest.mark.parametrize("name", SEARCHED)
def test_second_derivatives_of_searched_inverses_are_those_of_gradients(name):
    transform = perturb(SEARCHED[name]().double())
    z = X[:1].abs() + 0.3

    def both(z):
        x, term = transform.decode(z)
        return (x.square() + x).sum() + 3 * term.sum()

    hessian = torch.autograd.functional.hessian(both, z).reshape(2, 2)
    steps = 1e-4 * torch.eye(2, dtype=torch.float64).unsqueeze(1)
    slope = torch.autograd.functional.jacobian
    numeric = torch.stack([(slope(both, z + e) - slope(both, z - e)) / 2e-4 for e in steps])
    torch.testing.assert_close(hessian, numeric.reshape(2, 2), atol=1e-6, rtol=1e-5)
    if name == "mixture":  # one is enough: `torch.func` is slow to warm up
        functional = torch.func.hessian(both)(z).reshape(2, 2)
        torch.testing.assert_close(functional, hessian, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["nsf", "bnaf", "maf"])
def test_func_transforms_of_a_density(name):
    flow = perturb(getattr(models, name)(2, seed=0).double(), scale=0.3)
    expected = torch.autograd.functional.jacobian(lambda x: flow.log_prob(x).sum(), X)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(flow.log_prob))(X), expected)
    _, pushed = torch.func.jvp(flow.log_prob, (X,), (X,))
    torch.testing.assert_close(pushed, (expected * X).sum(-1))
    forward = torch.autograd.functional.jacobian(
        lambda x: flow.log_prob(x).sum(), X, strategy="forward-mode", vectorize=True
    )
    torch.testing.assert_close(forward, expected)


def test_a_value_without_a_root_is_nan_where_it_cannot_be_looked_at():
    def solve(y):
        return find_root(torch.tanh, y, lower=-1.0, upper=1.0)

    roots = torch.func.vmap(solve)(torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(
        roots, torch.tensor([0.5, torch.nan]).atanh(), equal_nan=True, atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_searched_inverses_in_every_mode(mode):
    flow = perturb(models.bnaf(2, seed=0))
    expected = flow.sample(5, generator=seeded(0))
    with mode():
        torch.testing.assert_close(flow.sample(5, generator=seeded(0)), expected)
        heads = Mixture(DiagonalNormal(1, batch_shape=(2,)))
        torch.testing.assert_close(heads.icdf(torch.tensor([[0.5]])), torch.zeros(1, 1))
