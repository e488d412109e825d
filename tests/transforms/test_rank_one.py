"""Planar and radial flows and rotations, beyond the battery."""

import math

import pytest
import torch

from anabranch.functional.roots import find_root
from anabranch.transforms import Elementwise, Inverse, LocalExpansion, Planar, Radial, Rotation
from tests.battery import check_transform_finite, same
from tests.registry import perturb, seeded

X = 2 * torch.randn(40, 2, generator=seeded(0), dtype=torch.float64)


def planar(w, u, b=0.0, dtype=torch.float64):
    transform = Planar(len(w)).to(dtype)
    transform.set_parameters(torch.tensor(w, dtype=dtype), torch.tensor(u, dtype=dtype), b)
    return transform


def radial(centre, alpha, scale):
    transform = Radial(len(centre)).double()
    values = (torch.tensor(v, dtype=torch.float64) for v in (centre, alpha, scale))
    transform.set_parameters(*values)
    return transform


def test_planar_is_the_formula():
    w, u, b = [0.5, -1.0], [1.5, 0.5], 0.3
    along = 0.75 - 0.5
    origin = math.log(math.expm1(0.999))
    slope = 1e-3 - 1 + math.log1p(math.exp(along + origin))
    u_hat = torch.tensor(u) + (slope - along) / 1.25 * torch.tensor(w)
    ridge = torch.tanh(X @ torch.tensor(w, dtype=torch.float64) + b)
    z, term = planar(w, u, b).encode(X)
    same(z, X + ridge.unsqueeze(-1) * u_hat, 1e-6)
    same(term, torch.log1p((1 - ridge.square()) * slope), 1e-6)


def test_planar_without_u_is_the_identity_in_any_direction():
    for w in ([1.0, 2.0], [1e-9, 0.0], [0.0, 0.0]):
        z, term = planar(w, [0.0, 0.0]).encode(X)
        same(z, X, 1e-12)
        same(term, torch.zeros(40, dtype=torch.float64), 1e-12)


@pytest.mark.parametrize("along", [200.0, -200.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_planar_of_extreme_parameters(along, dtype):
    transform = planar([10.0, -10.0], [along / 20, -along / 20], 0.1, dtype)
    check_transform_finite(transform, X.to(dtype))
    if dtype == torch.float64:
        z, term = transform.encode(X)
        x, back = transform.decode(z)
        same(x, X, 1e-8)
        same(back, -term, 1e-6)


def test_planar_never_folds():
    """The slope along w stays positive whatever the parameters."""
    for seed in range(20):
        transform = perturb(Planar(3, batch_shape=(50,)).double(), scale=5.0, seed=seed)
        x = 3 * torch.randn(30, 3, generator=seeded(seed), dtype=torch.float64)
        assert bool((transform._split(None)[3] > -1).all())
        assert torch.isfinite(transform.encode(x)[1]).all()


def test_radial_is_the_formula_of_the_paper():
    centre, alpha, scale = [0.5, -1.0], 0.7, 2.5
    beta = alpha * (scale - 1)
    offset = X - torch.tensor(centre, dtype=torch.float64)
    r = offset.norm(dim=-1, keepdim=True)
    h = 1 / (alpha + r)
    z, term = radial(centre, alpha, scale).encode(X)
    same(z, X + beta * h * offset, 1e-9)
    expected = torch.log1p(beta * h) + torch.log1p(beta * h - beta * h.square() * r)
    same(term, expected.squeeze(-1), 1e-9)


@pytest.mark.parametrize(("alpha", "scale"), [(0.01, 0.01), (0.01, 50.0), (5.0, 0.01), (5.0, 50.0)])
def test_the_closed_inverse_is_the_numeric_one(alpha, scale):
    transform = radial([0.0, 0.0], alpha, scale)
    length = torch.logspace(-6, 6, 50, dtype=torch.float64)
    radius = find_root(
        lambda r: r * (1 + (scale - 1) * alpha / (alpha + r)), length, lower=0.0, upper=1.0
    )
    points = torch.stack((length, 0 * length), -1)
    same(transform.decode(points)[0][:, 0], radius, 1e-9)


def test_at_its_centre_a_radial_map_stays_and_has_gradients():
    transform = radial([0.5, -1.0], 0.7, 2.5)
    x = torch.tensor([[0.5, -1.0]], dtype=torch.float64, requires_grad=True)
    for function in (transform.encode, transform.decode):
        z, term = function(x)
        same(z, x, 1e-12)
        (gradient,) = torch.autograd.grad(z.sum() + term.sum(), x)
        assert torch.isfinite(gradient).all()


def test_the_expansion_of_one_number_is_a_radial_map():
    one, other = perturb(Radial(1)).double(), Elementwise(LocalExpansion(), 1).double()
    with torch.no_grad():
        other.params.copy_(one.parameters_of.free)
    x = X[:, :1]
    for ours, theirs in ((one.encode, other.encode), (one.decode, other.decode)):
        for a, b in zip(ours(x), theirs(x), strict=True):
            same(a, b)


@pytest.mark.parametrize(("alpha", "scale", "named"), [(0.0, 2.0, "alpha"), (1.0, -1.0, "scale")])
def test_a_radial_map_refuses_what_folds(alpha, scale, named):
    with pytest.raises(ValueError, match=rf"{named} must be more than 0.001, got"):
        radial([0.0], alpha, scale)


@pytest.mark.parametrize("transform", [Planar(2), Inverse(Planar(2)), Radial(2)])
def test_gradients_of_both_directions(transform):
    transform = perturb(transform.double())
    x = X[:4].clone().requires_grad_()
    for function in (transform.encode, transform.decode):
        assert torch.autograd.gradcheck(lambda y, f=function: f(y), x)


def test_parameters_get_exact_gradients_through_the_numeric_inverse():
    transform = perturb(Planar(2).double())
    (parameter,) = transform.parameters()
    values = parameter.detach().clone().requires_grad_()

    def decoded(values):
        transform.parameters_of.columns = lambda context: values
        return transform.decode(X[:4])

    assert torch.autograd.gradcheck(decoded, values)


def test_a_rotation_is_orthogonal_in_either_precision():
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        rotation = Rotation(5, batch_shape=(3,), generator=seeded(0)).to(dtype)._rotation()
        same(rotation @ rotation.mT, torch.eye(5, dtype=dtype).expand(3, 5, 5), tolerance)
    first, second = (Rotation(3, generator=seeded(s)).matrix for s in (0, 1))
    assert not torch.allclose(first, second)
    assert torch.equal(first, Rotation(3, generator=seeded(0)).matrix)
