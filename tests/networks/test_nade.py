"""NADE: the recursion, its sparsity, and values drawn in turn."""

from itertools import permutations, product

import pytest
import torch

from anabranch.networks import NADE
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

CONTEXTS = pytest.mark.parametrize("context", [0, 2])
ACTIVATIONS = pytest.mark.parametrize("activation", ["sigmoid", "relu"])


def make(d, n_params=2, *, context=0, ordering=None, activation="sigmoid", batch_shape=()):
    net = NADE(
        d,
        n_params,
        5,
        context_features=context,
        ordering=ordering,
        activation=activation,
        batch_shape=batch_shape,
        generator=seeded(0),
    )
    return perturb(net.double())


@CONTEXTS
@ACTIVATIONS
def test_jacobian_is_exactly_triangular_in_every_ordering(context, activation):
    for d, n_params in product((1, 2, 3, 4), (1, 2)):
        for order in permutations(range(d)):
            net = make(d, n_params, context=context, ordering=order, activation=activation)
            given = torch.randn(3, context, dtype=torch.float64, generator=seeded(1))
            x = torch.randn(3, d, dtype=torch.float64, generator=seeded(2))
            matrix = jacobian(lambda y, n=net, c=given: n(y, c if context else None), x)
            place = torch.tensor(order)
            allowed = place[:, None] > place[None, :]
            matrix = matrix.unflatten(-2, (n_params, d))
            assert not matrix[..., ~allowed].any(), "an output sees its own or a later feature"
            assert matrix[..., allowed].any(0).all(), "an output does not see an earlier feature"


@ACTIVATIONS
def test_columns_are_the_formula(activation):
    net, d = make(4, 3, context=2, ordering=(2, 0, 3, 1), activation=activation), 4
    x = torch.randn(d, 6, dtype=torch.float64, generator=seeded(3))
    context = torch.randn(2, 6, dtype=torch.float64, generator=seeded(4))
    order = [1, 3, 0, 2]  # the features by place
    for place, feature in enumerate(order):
        hidden = net.bias + net.context_weight @ context
        for earlier in range(place):
            hidden = hidden + net.weight[earlier] * x[order[earlier]]
        if activation == "relu":
            hidden = torch.relu(net.rescale[place] * hidden)
        else:
            hidden = torch.sigmoid(hidden)
        expected = net.out_weight[place] @ hidden + net.out_bias[place]
        same(net.columns(x, context).unflatten(0, (3, d))[:, feature], expected)


@CONTEXTS
@ACTIVATIONS
@pytest.mark.parametrize("batch_shape", [(), (3,)])
@pytest.mark.parametrize("ordering", [None, (3, 0, 2, 1)])
def test_values_in_turn_are_those_of_full_passes(context, activation, batch_shape, ordering):
    d, n, n_params = 4, 6, 2
    net = make(
        d, n_params, context=context, ordering=ordering, activation=activation,
        batch_shape=batch_shape,
    )  # fmt: skip
    noise = torch.randn(*batch_shape, d, n, dtype=torch.float64, generator=seeded(5))
    given = torch.randn(context, n, dtype=torch.float64, generator=seeded(6)) if context else None
    seen = []

    def draw(params, places):
        seen.append((params.shape, places))
        return params[0] + params[1].tanh() * net.arranged(noise)[..., places, :]

    x = net.in_turn(draw, noise, given)
    assert seen == [((n_params, *batch_shape, 1, n), slice(p, p + 1)) for p in range(d)]
    again = torch.zeros_like(noise)
    for _ in range(d):
        shift, scale = net.columns(again, given).unflatten(-2, (n_params, d)).movedim(-3, 0)
        again = shift + scale.tanh() * noise
    same(x, again, 1e-12)


def test_a_fresh_network_is_zero():
    assert not NADE(3, 2, 8)(torch.randn(4, 3, generator=seeded(0))).any()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="activation must be one of"):
        NADE(3, 1, activation="tanh")
    with pytest.raises(ValueError, match="permutation"):
        NADE(3, 1, ordering=[0, 1, 1])
    with pytest.raises(ValueError, match="context must have shape"):
        NADE(3, 1, context_features=2).columns(torch.zeros(3, 4))
