"""Derivatives of every recipe's density to the second order, by points, contexts and parameters."""

import pytest
import torch

from anabranch.distributions import Distribution
from anabranch.models import build
from tests.derivatives import check_functional, check_second_order, numbers_of, value_of
from tests.models.test_recipes import SMALL
from tests.registry import draw, perturb, seeded

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")

QUICK = ("nsf", "planar", "maf")


def marked(quick):
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in SMALL]


def given(name):
    """The log-density of three points, and what it depends on."""
    model = build(name, **SMALL[name], seed=0)
    if not isinstance(model, Distribution):
        pytest.skip("it is no distribution")
    if model.stochastic:
        pytest.skip("its density is an estimate")
    model = perturb(model.double().eval(), std=0.1)
    x = draw(model.domain, (3, *model.event_shape), torch.float64, seeded(7))
    context = None
    if model.context_shape:
        context = torch.randn(3, *model.context_shape, dtype=torch.float64, generator=seeded(3))
    fixed = x if model.discrete else None

    def read(model, x, context):
        log_prob = model.log_prob(x if fixed is None else fixed[: len(x)], context)
        return log_prob.sum(0) if model.batch_shape else log_prob

    value = value_of(model, read, "x", "context")
    if fixed is None:
        return value, numbers_of(model, x=x, context=context)
    return (lambda n: value({**n, "x": fixed})), numbers_of(model, context=context)


@pytest.mark.parametrize("name", marked(QUICK))
def test_gradients_and_second_derivatives(name):
    check_second_order(*given(name))


@pytest.mark.parametrize("name", marked(QUICK[:1]))
def test_func_transforms(name):
    value, numbers = given(name)
    if "x" not in numbers:
        pytest.skip("its points are integers")
    check_functional(value, numbers, *(n for n in ("x", "context") if n in numbers))
