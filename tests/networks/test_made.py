"""MADE: the masks, exhaustively."""

from itertools import permutations, product

import pytest
import torch

from anabranch.networks import MADE, Linear
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
    degrees = MADE(5, 1, (10,)).hidden[0].mask.sum(1)
    counts = torch.bincount(degrees.long())[1:]
    assert degrees.tolist() == sorted(degrees.tolist())
    assert counts.sum() == 10
    assert counts.max() - counts.min() <= 1


CHAIN = [[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]]  # 1 -> 2 -> 0, and {0, 2} -> 3
FOREST = [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("hidden", [(), (12,), (12, 9)])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("adjacency", [CHAIN, FOREST])
def test_a_graph_is_followed_exactly(adjacency, context, hidden):
    d = len(adjacency)
    net = MADE(d, 2, hidden, adjacency=adjacency, context_features=context, activation="tanh")
    perturb(net.double())
    given = torch.randn(3, context, dtype=torch.float64, generator=seeded(1)) if context else None
    x = torch.randn(3, d, dtype=torch.float64, generator=seeded(2))
    matrix = jacobian(lambda y: net(y, given), x).unflatten(-2, (2, d))
    allowed = torch.tensor(adjacency) > 0
    assert torch.equal((matrix != 0).all(0).all(0), allowed)


@pytest.mark.parametrize("passes", [1, 2, 3, 5])
def test_passes_make_groups_that_depend_on_earlier_groups_only(passes):
    ordering = [3, 0, 4, 1, 2]
    net = perturb(MADE(5, 1, (20,), ordering=ordering, passes=passes, activation="tanh").double())
    x = torch.randn(1, 5, dtype=torch.float64, generator=seeded(2))
    group = torch.tensor(ordering) * passes // 5
    assert torch.equal(jacobian(net, x)[0] != 0, group[:, None] > group[None, :])
    assert len(net.turns) == passes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"passes": 0}, r"passes must be in 1\.\.3"),
        ({"passes": 4}, r"passes must be in 1\.\.3"),
        ({"adjacency": [[0, 1, 0], [0, 0, 1], [1, 0, 0]]}, "cycle"),
        ({"adjacency": [[1, 0, 0], [0, 0, 0], [0, 0, 0]]}, "cycle"),
        ({"adjacency": [[0, 0], [1, 0]]}, r"shape \(3, 3\), got \(2, 2\)"),
        ({"adjacency": [[0, 0, 0], [1, 0, 0]]}, r"shape \(D, D\)"),
        ({"adjacency": [[0] * 3] * 3, "passes": 2}, "one or the other"),
        ({"adjacency": [[0, 0, 0], [1, 0, 0], [1, 1, 0]], "hidden": (1,)}, "too narrow"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MADE(3, 1, **arguments)


ORDERS = [
    {},
    {"ordering": [3, 0, 4, 1, 2]},
    {"ordering": [4, 3, 2, 1, 0], "passes": 2},
    {"adjacency": FOREST},
    {"direct": True},
    {"adjacency": FOREST, "direct": True},
]


@pytest.mark.parametrize("arguments", ORDERS, ids=lambda a: "-".join(a) or "natural")
@pytest.mark.parametrize("hidden", [(), (2,), (16,), (16, 7)])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_turns_give_what_as_many_full_passes_give(arguments, hidden, context, batch_shape):
    if "adjacency" in arguments and hidden == (2,):
        hidden = (4,)  # the graph has four sets of parents
    net = MADE(5, 2, hidden, context_features=context, batch_shape=batch_shape, **arguments)
    perturb(net.double())
    given = torch.randn(context, 6, dtype=torch.float64, generator=seeded(1)) if context else None
    noise = torch.randn(*batch_shape, 5, 6, dtype=torch.float64, generator=seeded(2))

    def move(noise, params):
        return torch.tanh(params[0]) + noise * params[1].exp()

    arranged = net.arranged(noise)
    x = net.in_turn(lambda p, places: move(arranged[..., places, :], p), noise, given)
    full = torch.zeros_like(noise)
    for _ in range(5):
        params = net.columns(full, given).unflatten(-2, (2, 5)).movedim(-3, 0)
        full = move(noise, params)
    assert torch.allclose(x, full, rtol=0, atol=1e-12)
    with torch.no_grad():  # written in place
        again = net.in_turn(lambda p, places: move(arranged[..., places, :], p), noise, given)
    assert torch.equal(x, again)


def test_gradients_pass_through_turns():
    net = perturb(MADE(4, 1, (9,), activation="tanh").double())
    noise = torch.randn(4, 3, dtype=torch.float64, generator=seeded(2))

    def solve(noise):
        return net.in_turn(lambda p, places: noise[places] + p[0], noise)

    assert torch.autograd.gradcheck(solve, noise.requires_grad_())


def test_features_that_see_the_same_units_take_one_turn():
    assert len(MADE(784, 2, (200,)).turns) == 201
    assert len(MADE(6, 2, (200, 100)).turns) == 6


@pytest.mark.parametrize("ordering", [None, list(range(199, -1, -1))])
@pytest.mark.parametrize("batch_shape", [(), (2,)])
@pytest.mark.parametrize("context", [0, 3])
def test_blocks_of_large_masks_change_nothing(ordering, batch_shape, context):
    net = MADE(200, 3, (256,), ordering=ordering, context_features=context, batch_shape=batch_shape)
    perturb(net.double(), std=0.1)
    assert any(layer.blocks for layer in layers(net)), "nothing was cut into blocks"
    x = torch.randn(200, 4, dtype=torch.float64, generator=seeded(2)).expand(*batch_shape, 200, 4)
    given = torch.randn(context, 4, dtype=torch.float64, generator=seeded(3)) if context else None
    out = net.columns(x, given)
    out.square().sum().backward()
    gradients = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    for layer in layers(net):
        layer.blocks = []
    plain = net.columns(x, given)
    plain.square().sum().backward()
    assert torch.allclose(out, plain, rtol=0, atol=1e-10)
    for gradient, p in zip(gradients, net.parameters(), strict=True):
        assert torch.allclose(gradient, p.grad, rtol=1e-10, atol=1e-10)
