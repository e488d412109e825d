"""Mixed derivatives by nested duals, against autograd and a closed form."""

import pytest
import torch

from anabranch.functional.nested_duals import lift, sigmoid, times
from tests.registry import seeded


def mixed(function, x):
    """The mixed derivative in all coordinates by repeated autograd."""
    x = x.requires_grad_()
    value = function(x)
    for d in range(x.shape[-1]):
        value = torch.autograd.grad(value.sum(), x, create_graph=True)[0][..., d]
    return value


@pytest.mark.parametrize("features", [1, 2, 3, 4])
def test_a_network_of_sigmoids_equals_autograd(features):
    x = torch.randn(3, features, dtype=torch.float64, generator=seeded(0))
    w = torch.randn(5, features, dtype=torch.float64, generator=seeded(1))
    v = torch.randn(5, dtype=torch.float64, generator=seeded(2))
    found = sigmoid(sigmoid(lift(x) @ w.mT) @ v)[-1]
    expected = mixed(lambda x: torch.sigmoid(torch.sigmoid(x @ w.mT) @ v), x)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-10, atol=1e-14)


def test_a_product_of_coordinates():
    x = lift(torch.tensor([2.0, 3.0, 5.0]))
    p = times(times(x[..., 0], x[..., 1]), x[..., 2])
    assert p.tolist() == [30.0, 15.0, 10.0, 5.0, 6.0, 3.0, 2.0, 1.0]
