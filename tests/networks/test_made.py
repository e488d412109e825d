"""MADE: the masks, exhaustively."""

from itertools import permutations, product

import pytest
import torch

from anabranch.networks import MADE, Linear
from anabranch.networks.made import spread_degrees
from tests.battery import jacobian
from tests.registry import perturb, seeded


def orderings():
    return [order for d in (1, 2, 3, 4) for order in permutations(range(d))]


def layers(net):
    return [module for module in net.modules() if isinstance(module, Linear)]


@pytest.mark.parametrize("hidden", [(), (1,), (6,), (7, 5), (2, 9, 3)])
@pytest.mark.parametrize("context", [0, 2])
def test_jacobian_is_exactly_triangular_in_every_ordering(hidden, context):
    for order, n_params in product(orderings(), (1, 2)):
        d = len(order)
        net = MADE(d, n_params, hidden, context_features=context, ordering=order, activation="tanh")
        perturb(net.double(), scale=3.0)
        given = torch.randn(3, context, dtype=torch.float64, generator=seeded(1))
        x = torch.randn(3, d, dtype=torch.float64, generator=seeded(2))
        matrix = jacobian(lambda y, n=net, c=given: n(y, c if context else None), x)
        matrix = matrix.unflatten(-2, (n_params, d))
        place = torch.tensor(order)
        allowed = place[:, None] > place[None, :]
        assert not matrix[..., ~allowed].any(), "an output sees its own or a later feature"


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("hidden", [(), (6,), (7, 5)])
def test_every_allowed_connection_exists(hidden, context):
    for order in orderings():
        d = len(order)
        net = MADE(d, 1, hidden, context_features=context, ordering=order)
        reach = torch.eye(d + context)
        for layer in layers(net):
            reach = layer.mask @ reach
        place = torch.tensor(order)
        allowed = place[:, None] > place[None, :]
        assert torch.equal(reach[:, :d] > 0, allowed)
        assert (reach[:, d:] > 0).all(), "an output does not see the context"


def test_every_output_sees_the_context_and_the_first_only_it():
    net = perturb(MADE(3, 2, (8,), context_features=2, activation="tanh").double())
    x = torch.zeros(1, 3, dtype=torch.float64)
    matrix = jacobian(lambda c: net(x, c), torch.ones(1, 2, dtype=torch.float64))
    assert matrix.all()


def test_masked_weights_get_no_gradient():
    net = perturb(MADE(3, 1, (5,)))
    net(torch.ones(4, 3)).sum().backward()
    for layer in layers(net):
        assert not layer.weight.grad[layer.mask == 0].any()


def test_a_fresh_net_gives_zero():
    assert not MADE(3, 2, (8,))(torch.ones(4, 3)).any()


def test_stack_shares_one_mask():
    net = MADE(3, 2, (8,), batch_shape=(4,))
    assert net(torch.ones(5, 3)).shape == (4, 5, 6)
    assert layers(net)[0].mask.shape == (8, 3)


@pytest.mark.parametrize("ordering", [(0, 1), (0, 1, 1), (1, 2, 3), (0, 1, 2, 3)])
def test_ordering_must_be_a_permutation(ordering):
    with pytest.raises(ValueError, match=r"permutation of 0\.\.2"):
        MADE(3, 1, ordering=ordering)


def test_degrees_are_spread_evenly():
    degrees = spread_degrees(10, 1, 4)
    counts = torch.bincount(degrees)[1:]
    assert degrees.tolist() == sorted(degrees.tolist())
    assert counts.sum() == 10
    assert counts.max() - counts.min() <= 1
