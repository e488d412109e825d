"""Stacked linear layers, MLPs, and taking one component out of a stack."""

import pytest
import torch
from torch import nn

from anabranch.distributions import Flow, Normal
from anabranch.networks import MLP, Linear, make_activation, select_component
from anabranch.networks.mlp import ACTIVATIONS
from anabranch.transforms import ActNorm, Compose, LULinear
from tests.battery import same
from tests.registry import DISTRIBUTIONS, Config, perturb, seeded

X = torch.randn(7, 3, generator=seeded(0))


@pytest.mark.parametrize("batch_shape", [(), (4,), (2, 3)])
def test_linear_equals_the_formula(batch_shape):
    layer = perturb(Linear(3, 5, batch_shape=batch_shape))
    expected = X @ layer.weight.mT + layer.bias.mT
    same(layer(X), expected, 1e-5)
    own = torch.randn(*batch_shape, 7, 3, generator=seeded(1))
    same(layer(own), own @ layer.weight.mT + layer.bias.mT, 1e-5)


def test_linear_without_stack_takes_any_leading_dimensions():
    layer = Linear(3, 5)
    x = torch.randn(2, 4, 7, 3, generator=seeded(1))
    same(layer(x), nn.functional.linear(x, layer.weight, layer.bias.squeeze(-1)), 1e-5)


@pytest.mark.parametrize("batch_shape", [(), (4,)])
def test_linear_without_inputs_is_its_bias(batch_shape):
    layer = perturb(Linear(0, 2, batch_shape=batch_shape))
    same(layer(torch.zeros(7, 0)), layer.bias.mT.expand(*batch_shape, 7, 2), 1e-6)


def test_linear_mask_cuts_connections():
    mask = torch.tensor([[1, 0, 1], [0, 0, 0]])
    layer = perturb(Linear(3, 2, mask=mask))
    matrix = torch.autograd.functional.jacobian(lambda x: layer(x.unsqueeze(0))[0], X[0])
    assert torch.equal(matrix != 0, mask.bool())


def test_initial_weights_come_from_the_generator_within_their_limit():
    state = torch.get_rng_state()
    first, second = (Linear(16, 50, batch_shape=(3,), generator=seeded(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.weight, second.weight)
    assert first.weight.abs().max() <= 0.25
    assert first.weight.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.1)
    assert not torch.equal(first.weight[0], first.weight[1])


def test_zero_layer():
    assert not any(p.any() for p in Linear(3, 2, zero=True).parameters())


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_mlp_equals_the_formula(activation):
    net = perturb(MLP(3, 2, (5, 4), context_features=2, activation=activation))
    context = torch.randn(7, 2, generator=seeded(2))
    h = torch.cat((X, context), -1)
    for i, layer in enumerate(m for m in net.modules() if isinstance(m, Linear)):
        h = make_activation(activation)(h) if i else h
        h = nn.functional.linear(h, layer.weight, layer.bias.squeeze(-1))
    same(net(X, context), h, 1e-5)


def test_mlp_without_hidden_layers_is_linear():
    net = MLP(3, 2, ())
    same(net(X + X) - net(X), net(X) - net(0 * X), 1e-5)


@pytest.mark.parametrize("own_x", [False, True])
@pytest.mark.parametrize("own_context", [False, True])
def test_stacked_mlp_equals_a_loop(own_x, own_context):
    net = perturb(MLP(3, 2, (5,), context_features=2, batch_shape=(4,)))
    x = torch.randn(*(4,) * own_x, 7, 3, generator=seeded(3))
    context = torch.randn(*(4,) * own_context, 7, 2, generator=seeded(4))
    whole = net(x, context)
    for k in range(4):
        one = select_component(net, k)(x[k] if own_x else x, context[k] if own_context else context)
        same(whole[k], one, 1e-5)


def test_zero_last():
    assert not MLP(3, 2, (5,), zero_last=True)(X).any()
    assert MLP(3, 2, (5,), zero_last=False)(X).any()


def test_unknown_activation():
    with pytest.raises(ValueError, match=r"activation must be one of \['elu'.*got 'swish'"):
        make_activation("swish")


@pytest.mark.parametrize("context", [None, torch.zeros(7, 3)])
def test_missing_or_wrong_context(context):
    with pytest.raises(ValueError, match=r"context must have shape \(\.\.\., 2\)"):
        MLP(3, 2, context_features=2)(X, context)


def test_selected_component_shares_memory():
    stack = LULinear(3, batch_shape=(4,), generator=seeded(0))
    one = select_component(stack, 2)
    with torch.no_grad():
        one.lower.fill_(0.5)
    assert (stack.lower[2] == 0.5).all()
    assert not stack.lower[1].any()
    assert one.permutation.shape == (3, 3)
    assert stack.batch_shape == (4,), "the stack itself is left as it was"


def test_selected_component_is_initialised_into_the_stack():
    stack = Compose([ActNorm(3, batch_shape=(4,))])
    select_component(stack, 1).initialize(2 * X + 5)
    assert stack.transforms[0].loc[1].mean() > 3
    assert not stack.transforms[0].loc[0].any()


def test_selection_leaves_shared_parts_whole():
    """A mixture base with a stack of its own is no stack of the flow's components."""
    case = next(c for c in DISTRIBUTIONS if c.name == "flow-on-mixture-2")
    flow = Config(case, (3,)).build()
    one = select_component(flow, 1)
    assert one.base is flow.base
    assert one.base.groups[0].batch_shape == (3,)
    assert select_component(Flow(Normal(2), LULinear(2)), 5).batch_shape == ()
