"""Derivatives of every transform to the second order, by all points and numbers they depend on."""

import pytest
import torch

from anabranch.functional import as_rows
from anabranch.functional.roots import find_root, implicit, limited
from tests.battery import seed
from tests.derivatives import check_functional, check_second_order, numbers_of, value_of
from tests.registry import CONTEXT, TRANSFORMS, Config, ids

# torch itself scripts something when `torch.func` runs forward mode for the first time
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")

# draws of integers and hashes jump; `torch.func.vmap` has no generators
SMOOTH = [c for c in TRANSFORMS if not c.domain.discrete]
DRAWN = ("two-scales", "factor-out")  # what is factored out, when it is decoded
FIXED = [c for c in SMOOTH if not (c.stochastic or c.name.startswith(DRAWN))]
# one of each way to find an inverse, and to differentiate by hand
QUICK = (
    *("elementwise-mixture-cdf-1", "coupling-spline-free-3", "autoregressive-spline-3"),
    *("planar-3", "block-1", "radial-3", "lu-2", "expansion-3", "multi-scale", "conv-1x1"),
)
QUICK_BY_SAMPLE = ("coupling-spline-3", "coupling-board-images")


def over(cases, quick):
    chosen = [Config(c, (), CONTEXT if c.contextual else 0) for c in cases]
    slow = [() if c.case.name in quick else pytest.mark.slow for c in chosen]
    return pytest.mark.parametrize(
        ("config", "direction"),
        [
            pytest.param(config, direction, marks=marks, id=f"{name}-{direction}")
            for config, marks, name in zip(chosen, slow, ids(chosen), strict=True)
            for direction in ("encode", "decode")
            if direction == "encode" or config.case.bijective
        ],
    )


def given(config, direction):
    """A number for each row, of all that comes out, and what it depends on."""
    transform, x, context = config.build(), config.case.points(3), config.context(3)
    with torch.no_grad():
        point = x if direction == "encode" else seed(transform.encode, x, context)[0]
    shape = transform.latent_shape if direction == "encode" else transform.event_shape

    def read(transform, point, context):
        call = getattr(transform, direction)
        y, term = seed(call, point, context) if config.case.stochastic else call(point, context)
        rows = as_rows(y, shape)
        weights = torch.linspace(0.3, 1.2, rows.shape[-1], dtype=y.dtype)
        return (rows * weights + rows.square() / 10).sum(-1) + 0.7 * term

    value = value_of(transform, read, "x", "context")
    return value, numbers_of(transform, x=point, context=context)


@over(SMOOTH, QUICK)
def test_gradients_and_second_derivatives(config, direction):
    check_second_order(*given(config, direction))


@over(FIXED, QUICK_BY_SAMPLE)
def test_func_transforms(config, direction):
    check_functional(*given(config, direction), "x", "context")


def test_names_of_the_quick_ones_exist():
    assert {*QUICK, *QUICK_BY_SAMPLE} <= {case.name for case in TRANSFORMS}


def solved(target):
    """The x of x + sinh(x) = target."""

    def rising(x):
        return x + torch.sinh(x)

    root = find_root(rising, target, lower=-1.0, upper=1.0)
    return implicit(rising, root, target, 1 + torch.cosh(root))


def test_a_third_derivative_of_a_searched_inverse_is_refused():
    y = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = solved(y)
    (first,) = torch.autograd.grad(x, y, create_graph=True)
    (second,) = torch.autograd.grad(first, y, create_graph=True)
    point = x.detach()
    torch.testing.assert_close(first.detach(), 1 / (1 + point.cosh()))
    torch.testing.assert_close(second.detach(), -point.sinh() / (1 + point.cosh()) ** 3)
    with pytest.raises(NotImplementedError, match="derivatives to order 2"):
        torch.autograd.grad(second, y)


def test_it_is_refused_by_func_transforms_too():
    y = torch.tensor(0.7, dtype=torch.float64)
    twice = torch.func.grad(torch.func.grad(solved))
    point = solved(y)
    torch.testing.assert_close(twice(y), -point.sinh() / (1 + point.cosh()) ** 3)
    for outer in (torch.func.grad, torch.func.jacfwd):
        with pytest.raises(NotImplementedError, match="derivatives to order 2"):
            outer(twice)(y)


def test_a_limit_changes_no_number():
    x = torch.randn(4, dtype=torch.float64)
    assert torch.equal(limited(x), x)
    assert torch.equal(torch.func.vmap(limited)(x), x)
