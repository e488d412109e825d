"""Batch normalisation of a linear layer, and the plain layer that it becomes."""

import pytest
import torch

from anabranch.networks import MLP, Linear
from anabranch.networks.normalized import NormalizedLinear
from tests.battery import same
from tests.registry import seeded

X = 3 + 2 * torch.randn(64, 4, generator=seeded(0))


def layer_of():
    layer = NormalizedLinear(Linear(4, 3, generator=seeded(1)))
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
        layer.shift.copy_(torch.tensor([1.0, 0.0, -1.0]))
    return layer


def test_a_batch_comes_out_with_the_given_mean_and_spread():
    layer = layer_of()
    y = layer(X)
    same(y.mean(0), layer.shift, 1e-5)
    same(y.std(0, correction=0), layer.scale, 1e-3)


def test_torchs_own_layer_gives_the_same():
    layer, reference = layer_of(), torch.nn.BatchNorm1d(3)
    reference.load_state_dict(
        {"weight": layer.scale, "bias": layer.shift, "running_mean": torch.zeros(3)}
        | {"running_var": torch.ones(3), "num_batches_tracked": torch.tensor(0)}
    )
    for _ in range(3):
        same(layer(X), reference(X @ layer.linear.weight.mT), 1e-5)
    same(layer.eval()(X), reference.eval()(X @ layer.linear.weight.mT), 1e-5)


def test_the_folded_layer_is_the_map_of_evaluation_mode():
    layer = layer_of()
    for _ in range(5):
        layer(X)
    expected = layer.eval()(X)
    folded = layer.fold()
    assert type(folded) is Linear
    same(folded(X), expected, 1e-5)


def test_an_mlp_takes_it_as_a_layer():
    network = MLP(4, 2, (3,))
    network.hidden[0] = NormalizedLinear(network.hidden[0])
    assert network(X).shape == (64, 2)


def test_stacks_are_refused():
    with pytest.raises(ValueError, match=r"must have no batch_shape, got \(2,\)"):
        NormalizedLinear(Linear(4, 3, batch_shape=(2,)))
