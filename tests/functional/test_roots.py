"""Roots of increasing functions, and their implicit gradients."""

import pytest
import torch

from anabranch.functional.roots import find_root, implicit

X = torch.tensor([-1e6, -30.0, -1.0, -1e-12, 0.0, 1e-3, 1.0, 30.0, 1e6], dtype=torch.float64)
FUNCTIONS = {
    "linear": lambda x: 3 * x + 1,
    "flat": lambda x: 1e-6 * x,
    "asinh": torch.asinh,
    "cube": lambda x: x**3,
    "step": lambda x: x + 20 * torch.sigmoid(1e4 * (x - 0.7)),
    "shelf": lambda x: torch.where(x < 0, x, torch.where(x > 1, x - 1 + 1e-3, 1e-3 * x)),
    "kink": lambda x: torch.where(x > 0, 1e3 * x, 1e-3 * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("bracket", [(-1.0, 1.0), (40.0, 41.0), (0.0, 0.0)])
def test_what_was_mapped_comes_back(name, bracket):
    function = FUNCTIONS[name]
    x = find_root(function, function(X), lower=bracket[0], upper=bracket[1])
    torch.testing.assert_close(x, X, atol=1e-11 if name != "cube" else 1e-9, rtol=1e-9)


def test_brackets_may_be_tensors():
    lower, upper = torch.full((9,), -2.0), torch.linspace(-1, 1, 9, dtype=torch.float64)
    x = find_root(torch.asinh, torch.asinh(X), lower=lower, upper=upper)
    torch.testing.assert_close(x, X, atol=1e-12, rtol=1e-9)


def test_few_evaluations():
    calls = []

    def function(x):
        calls.append(x)
        return x + torch.tanh(3 * x)

    y = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    x = find_root(function, y, lower=-8.0, upper=8.0)
    assert (x + torch.tanh(3 * x) - y).abs().max() < 1e-14
    assert len(calls) < 25


def test_single_precision_is_solved_in_double():
    seen = []

    def function(x):
        seen.append(x.dtype)
        return x.sinh()

    x = find_root(function, torch.tensor([1.0, 1e6]), lower=-1.0, upper=1.0)
    assert x.dtype == torch.float32
    assert set(seen) == {torch.float64}
    torch.testing.assert_close(x, torch.asinh(torch.tensor([1.0, 1e6])), atol=0, rtol=1e-7)


@pytest.mark.parametrize(
    ("function", "target"),
    [
        (torch.tanh, 2.0),
        (torch.exp, -1.0),
        (lambda x: x * float("nan"), 0.0),
        (lambda x: x, float("inf")),
        (lambda x: x, float("nan")),
    ],
)
def test_what_is_never_reached(function, target):
    goals = torch.tensor([0.5, target], dtype=torch.float64)
    with pytest.raises(ArithmeticError, match=r"no root for [12] of 2 values"):
        find_root(function, goals, lower=-1.0, upper=1.0)


def test_nothing_to_solve():
    empty = torch.zeros(0, 3, dtype=torch.float64)
    assert find_root(torch.asinh, empty, lower=-1.0, upper=1.0).shape == (0, 3)
    meta = find_root(torch.asinh, torch.zeros(2, device="meta"), lower=-1.0, upper=1.0)
    assert meta.shape == (2,)


def test_compiled():
    y = torch.linspace(-3, 3, 7, dtype=torch.float64)

    def solve(y):
        return find_root(torch.asinh, y, lower=-1.0, upper=1.0)

    compiled = torch.compile(solve, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(y), torch.sinh(y), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("given", [False, True])
def test_gradients_are_those_of_the_closed_form(given):
    """x = sinh((y - b) / a) solves a asinh(x) + b = y."""
    a = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64, requires_grad=True)

    def function(x):
        return a * torch.asinh(x) + b

    root = find_root(function, y, lower=-1.0, upper=1.0)
    assert not root.requires_grad
    slope = a / (1 + root**2).sqrt() if given else None
    x, expected = implicit(function, root, y, slope), torch.sinh((y - b) / a)
    torch.testing.assert_close(x, expected, atol=1e-12, rtol=1e-12)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    actual = torch.autograd.grad((x * weights).sum(), (a, b, y))
    closed = torch.autograd.grad((expected * weights).sum(), (a, b, y))
    torch.testing.assert_close(actual, closed, atol=1e-12, rtol=1e-12)


def test_implicit_without_gradients():
    with torch.no_grad():
        y = torch.tensor([2.0])
        x = implicit(lambda x: 2 * x, torch.tensor([0.9]), y)  # one step polishes the root
    torch.testing.assert_close(x, torch.tensor([1.0]))
    assert not x.requires_grad
