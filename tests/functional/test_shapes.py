"""Layout and shape rules of the component axis."""

import pytest
import torch
from torch import nn

from anabranch.functional import (
    broadcast_leading,
    canonical,
    check_dtype,
    expand_batch,
    split_parameters,
)
from anabranch.functional.shapes import size_of
from tests.registry import seeded


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("n_params", [1, 2, 3])
def test_split_parameters_is_parameter_major(lead, n_params):
    columns = torch.randn(*lead, n_params * 5, 4, generator=seeded(0))
    split = split_parameters(columns, n_params)
    assert split.shape == (n_params, *lead, 5, 4)
    assert split.data_ptr() == columns.data_ptr(), "a view"
    for p in range(n_params):
        assert torch.equal(split[p], columns[..., p * 5 : (p + 1) * 5, :])


@pytest.mark.parametrize(
    ("shape", "batch_shape", "expected", "lead"),
    [
        ((2,), (), (1, 2), ()),
        ((5, 2), (), (5, 2), (5,)),
        ((3, 4, 2), (), (12, 2), (3, 4)),
        ((0, 3, 2), (), (0, 2), (0, 3)),
        ((5, 2), (3,), (5, 2), (5,)),
        ((3, 5, 2), (3,), (3, 5, 2), (3, 5)),
        ((2, 3, 5, 2), (2, 3), (2, 3, 5, 2), (2, 3, 5)),
    ],
)
def test_canonical(shape, batch_shape, expected, lead):
    x, found = canonical(torch.zeros(shape), (2,), batch_shape, "x")
    assert x.shape == expected
    assert tuple(found) == lead


@pytest.mark.parametrize("shape", [(), (3,), (5, 3), (2, 5)])
def test_canonical_names_both_shapes(shape):
    with pytest.raises(ValueError, match=r"points must have shape \(\.\.\., 2\), got \("):
        canonical(torch.zeros(shape), (2,), (), "points")


@pytest.mark.parametrize("shape", [(2,), (4, 5, 2), (1, 3, 5, 2)])
def test_canonical_names_the_stack(shape):
    with pytest.raises(ValueError, match=r"\(N, 2\) or \(3, N, 2\), got \("):
        canonical(torch.zeros(shape), (2,), (3,), "x")


@pytest.mark.parametrize(
    ("x", "context", "lead"),
    [((5, 2), (3,), (5,)), ((2,), (5, 3), (5,)), ((4, 2), (6, 1, 3), (6, 4)), ((2,), (3,), ())],
)
def test_broadcast_leading(x, context, lead):
    x, context = broadcast_leading(torch.zeros(x), torch.zeros(context), 1)
    assert x.shape == (*lead, 2)
    assert context.shape == (*lead, 3)


def test_broadcast_leading_names_both_shapes():
    with pytest.raises(ValueError, match=r"context of shape \(4, 3\).*x of shape \(5, 2\)"):
        broadcast_leading(torch.zeros(5, 2), torch.zeros(4, 3), 1)


def test_expand_batch():
    x = torch.randn(5, 2, generator=seeded(0))
    expanded = expand_batch(x, (3,), 1)
    assert expanded.shape == (3, 5, 2)
    assert expanded.data_ptr() == x.data_ptr(), "a view"
    assert expand_batch(expanded, (3,), 1) is expanded


class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("order", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("scale", torch.ones(2))


def test_check_dtype():
    check_dtype(Buffered(), torch.zeros(2), "x")
    check_dtype(nn.Identity(), torch.zeros(2, dtype=torch.float64), "x")
    message = r"x is torch.float64 but the model is torch.float32: .*x\.to\(torch.float32\)"
    for module in (Buffered(), nn.Linear(2, 2)):
        with pytest.raises(TypeError, match=message):
            check_dtype(module, torch.zeros(2, dtype=torch.float64), "x")
    with pytest.raises(TypeError, match=r"torch.int64"):
        check_dtype(Buffered(), torch.zeros(2, dtype=torch.int64), "x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(3, ((3,), 3)), ((), ((), 1)), ((2, 5), ((2, 5), 10)), (torch.Size((4,)), ((4,), 4))],
)
def test_size_of(given, expected):
    assert size_of(given) == expected
