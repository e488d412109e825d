"""Block autoregressive flows, beyond the battery."""

import pytest
import torch
from torch.nn.functional import softplus

from anabranch.networks import BlockNetwork
from anabranch.networks.block import log_matmul, log_tanh_slope
from anabranch.transforms import BlockAutoregressive
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

X = torch.randn(20, 4, generator=seeded(0), dtype=torch.float64)


def block(features=4, scale=1.0, **settings):
    transform = BlockAutoregressive(features, hidden=(5, 6), generator=seeded(0), **settings)
    return perturb(transform.double(), scale=scale)


@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
def test_the_jacobian_is_triangular_and_rises(scale):
    matrix = jacobian(lambda x: block(scale=scale).encode(x)[0], X)
    assert not matrix.triu(1).any()
    assert bool((matrix.diagonal(dim1=-2, dim2=-1) > 0).all())
    assert matrix.tril(-1).any()


def test_the_log_slopes_are_those_of_autograd():
    network = perturb(BlockNetwork(4, (5, 6), generator=seeded(0)).double())
    _, log_slope = network.columns(X.mT)
    matrix = jacobian(lambda x: network.columns(x.mT)[0].mT, X)
    same(log_slope.mT, matrix.diagonal(dim1=-2, dim2=-1).log(), 1e-9)


def test_it_is_onto():
    """However far out a latent lies, it has its point."""
    transform = block()
    z = torch.tensor([[-1e6, 1e6, 1e3, -40.0]], dtype=torch.float64)
    with torch.no_grad():
        x, term = transform.decode(z)
        back, back_term = transform.encode(x)
    same(back, z, 1e-9)
    same(back_term, -term, 1e-9)


def test_saturated_units_neither_vanish_nor_overflow():
    x = torch.tensor([-1e5, -3.0, 0.0, 3.0, 1e5], requires_grad=True)
    slope = log_tanh_slope(x)
    same(slope[1:4], torch.log(1 - torch.tanh(x[1:4]).square()), 1e-4)
    same(slope[[0, -1]], torch.full((2,), 2 * 0.6931472 - 2e5), 1e-6)
    (gradient,) = torch.autograd.grad(slope.sum(), x)
    same(gradient, -2 * torch.tanh(x.detach()), 1e-5)


def test_log_matmul_is_a_matrix_product():
    a = torch.randn(2, 3, 4, generator=seeded(0), dtype=torch.float64)
    x = torch.randn(2, 4, 5, generator=seeded(1), dtype=torch.float64)
    same(log_matmul(a, x), torch.log(a.exp() @ x.exp()), 1e-12)
    same(log_matmul(a, x - 1e4), torch.log(a.exp() @ x.exp()) - 1e4, 1e-9)
    assert torch.autograd.gradcheck(log_matmul, (a.requires_grad_(), x.requires_grad_()))


def test_gradients_of_both_directions_with_context():
    transform = block(2, context_features=3)
    x = X[:3, :2].clone().requires_grad_()
    context = torch.randn(3, 3, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    for function in (transform.encode, transform.decode):
        assert torch.autograd.gradcheck(lambda y, c, f=function: f(y, c), (x, context))


def test_in_turn_undoes_the_network():
    network = perturb(BlockNetwork(4, (5, 6), generator=seeded(0)).double())
    seen = []

    def solve(d, rise, reach):
        x = X.mT[d : d + 1]
        seen.append(rise(x))
        assert bool((seen[-1].abs() <= reach).all())
        return x

    same(network.in_turn(solve), X.mT)
    same(torch.cat(seen), network.columns(X.mT)[0])


def test_a_hidden_layer_is_needed():
    with pytest.raises(ValueError, match="hidden must be positive integers, at least one"):
        BlockNetwork(2, ())


def test_the_far_slope_is_that_of_the_gate():
    transform = block(1)
    _, term = transform.encode(torch.tensor([[1e6]], dtype=torch.float64))
    gate = 7 * torch.tanh(transform.gate / 7)
    same(term, -softplus(gate).flatten(), 1e-9)
