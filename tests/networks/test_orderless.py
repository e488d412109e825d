"""OrderlessMADE: masks of every ordering, exhaustively."""

from itertools import permutations

import pytest
import torch

from anabranch.networks import OrderlessMADE
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

VARIANTS = pytest.mark.parametrize(
    ("hidden", "direct", "context"), [((), True, 0), ((12,), False, 0), ((12, 10), True, 2)]
)


def make(d, hidden, *, direct=False, context=0, batch_shape=(), orderings=None):
    net = OrderlessMADE(
        d,
        2,
        list(permutations(range(d))) if orderings is None else orderings,
        hidden,
        direct=direct,
        context_features=context,
        activation="tanh",
        batch_shape=batch_shape,
        generator=seeded(0),
    )
    return perturb(net.double())


def inputs(net, d, context, n=3):
    x = torch.randn(n, d, dtype=torch.float64, generator=seeded(1))
    given = torch.randn(len(net.places), context, n, dtype=torch.float64, generator=seeded(2))
    return x, given if context else None


@VARIANTS
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_jacobian_is_exactly_triangular_in_every_ordering(d, hidden, direct, context):
    net = make(d, hidden, direct=direct, context=context)
    x, given = inputs(net, d, context)
    for r, order in enumerate(net.places.tolist()):

        def one(y, r=r):
            each = y.mT.expand(len(net.places), *y.mT.shape)
            return net.columns(each, net.layout, given)[r].mT

        place = torch.tensor(order)
        allowed = place[:, None] > place[None, :]
        matrix = jacobian(one, x).unflatten(-2, (2, d))
        assert not matrix[..., ~allowed].any(), "an output sees its own or a later feature"
        assert matrix[..., allowed].any(0).all(), "an output does not see an earlier feature"


@VARIANTS
def test_values_in_turn_are_those_of_full_passes(hidden, direct, context):
    net, d = make(3, hidden, direct=direct, context=context), 3
    _, given = inputs(net, d, context, n=5)
    noise = torch.randn(d, 5, dtype=torch.float64, generator=seeded(3))
    for r, order in enumerate(net.places.tolist()):
        by_place = sorted(range(d), key=order.__getitem__)

        def draw(params, places, by_place=by_place):
            return params[0] + params[1].tanh() * noise[by_place][places]

        got = net.in_turn(net.layout[r : r + 1], draw, noise, None if given is None else given[r])
        again = torch.zeros(len(net.places), d, 5, dtype=torch.float64)
        for _ in range(d):
            shift, scale = net.columns(again, net.layout, given)[r].unflatten(0, (2, d))
            again[r] = (shift + scale.tanh() * noise).detach()
        same(got, again[r], 1e-12)


def test_hidden_units_change_their_degrees_with_the_ordering():
    (degrees,) = make(4, (12,)).layout.degrees
    assert not torch.equal(degrees[0], degrees[1])
    assert torch.equal(
        degrees.sort(1).values, torch.tensor([1, 2, 3]).repeat_interleave(4).expand(24, 12)
    )


def test_fresh_orderings_are_permutations_and_follow_the_generator():
    net = make(4, (12, 10))
    layout = net.fresh_layout(50, seeded(5))
    assert torch.equal(layout.places.sort(1).values, torch.arange(1, 5).expand(50, 4))
    assert len(layout.places.unique(dim=0)) > 10
    again = net.fresh_layout(50, seeded(5))
    assert torch.equal(layout.places, again.places)
    assert all(torch.equal(a, b) for a, b in zip(layout.degrees, again.degrees, strict=True))


def test_one_set_of_weights():
    few, many = (make(3, (12,), orderings=[[0, 1, 2]] * r) for r in (1, 5))
    assert [p.shape for p in few.parameters()] == [p.shape for p in many.parameters()]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least one ordering"):
        OrderlessMADE(3, 1, [])
    with pytest.raises(ValueError, match="permutation"):
        OrderlessMADE(3, 1, [[0, 1, 2], [0, 1, 1]])
