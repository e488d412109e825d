"""Posterior networks from plain values."""

import pytest
import torch

from anabranch.models.mixtures.posterior import make_posterior
from anabranch.networks import MLP, ConvClassifier
from tests.registry import seeded

X = torch.randn(6, 24, generator=seeded(0))


def weights(module):
    return [p.shape for p in module.parameters() if p.ndim > 1 and p.shape[-1] > 1]


def test_the_default_is_an_mlp_of_two_layers():
    for spec in ("mlp", {"name": "mlp"}, {"name": "mlp", "hidden": [64, 64]}):
        net = make_posterior(spec, 24, 3, seeded(1))
        assert isinstance(net, MLP)
        assert weights(net) == [(64, 24), (64, 64), (3, 64)]
        assert torch.equal(net(X), MLP(24, 3, (64, 64), generator=seeded(1))(X))


def test_keywords_reach_the_networks():
    net = make_posterior({"name": "mlp", "hidden": [5, 4], "activation": "tanh"}, 24, 3)
    assert weights(net) == [(5, 24), (4, 5), (3, 4)]
    assert isinstance(net.activation, torch.nn.Tanh)
    spec = {
        "name": "conv", "image_shape": [4, 6], "channels": [3], "hidden": [7], "activation": "silu",
    }  # fmt: skip
    net = make_posterior(spec, 24, 3, seeded(1))
    assert isinstance(net, ConvClassifier)
    assert weights(net) == [(3, 1, 3, 3), (7, 18), (3, 7)]
    assert isinstance(net.activation, torch.nn.SiLU)
    assert net(X).shape == (6, 3)
    assert torch.equal(net(X), make_posterior(spec, 24, 3, seeded(1))(X))
    assert spec["name"] == "conv", "the spec is left as it was"


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("cnn", ValueError, r"posterior must be one of \['conv', 'mlp'\], got 'cnn'"),
        ({"hidden": [3]}, TypeError, r"a name or a dict with a 'name', got \{'hidden': \[3\]\}"),
        (3, TypeError, "a name or a dict with a 'name', got 3"),
        ("conv", TypeError, "posterior 'conv' needs image_shape"),
        (
            {"name": "mlp", "channels": [3]},
            TypeError,
            "posterior 'mlp' has no keyword 'channels'; it has hidden, activation",
        ),
        ({"name": "mlp", "generator": None}, TypeError, "no keyword 'generator'"),
        ({"name": "mlp", "hidden": 3}, ValueError, "hidden must be a list of positive.*got 3"),
        (
            {"name": "conv", "image_shape": [4, 6], "channels": [0]},
            ValueError,
            r"channels must be a list of positive integers, got \[0\]",
        ),
        (
            {"name": "conv", "image_shape": [4, 4]},
            ValueError,
            r"image_shape \[4, 4\] has 16 pixels, but a row has 24 features",
        ),
        (
            {"name": "mlp", "activation": "sine"},
            ValueError,
            "activation must be one of .*, got 'sine'",
        ),
    ],
)
def test_wrong_specs(spec, error, said):
    with pytest.raises(error, match=said):
        make_posterior(spec, 24, 3)
