"""Encoders and decoders from plain values."""

import pytest
import torch

from anabranch.models.coders import make_coders
from anabranch.models.mixtures.posterior import make_posterior
from anabranch.networks import MLP, ConvClassifier, ConvDecoder, ConvEncoder, LabelledMLP
from anabranch.networks.strided_conv import StridedConv2d
from tests.registry import seeded

CONV = {"name": "conv", "image_shape": [4, 6]}


def test_an_mlp_has_the_sizes_of_the_caller_or_its_own():
    for spec, sizes in (("mlp", [7, 5]), ({"name": "mlp", "hidden": [3]}, [3])):
        coders = make_coders(spec, 24, [7, 5], "tanh")
        encoder, decoder = coders.encoder(2, 6), coders.decoder(3, 2)
        assert isinstance(encoder, LabelledMLP)
        assert isinstance(decoder, MLP)
        assert [layer.out_features for layer in encoder.hidden] == sizes
        assert [layer.out_features for layer in decoder.hidden] == sizes[::-1]
        assert decoder.last.out_features == 48
        assert isinstance(decoder.activation, torch.nn.Tanh)
        assert coders.classifier == {"name": "mlp", "hidden": sizes, "activation": "tanh"}


def test_keywords_reach_the_convolutions():
    spec = {**CONV, "channels": [2, 3], "strides": [1, 2], "residual": True, "hidden": [5]}
    coders = make_coders(spec, 24, [], "silu", generator=seeded(0))
    encoder, decoder = coders.encoder(2, 6), coders.decoder(3, 2)
    assert isinstance(encoder, ConvEncoder)
    assert isinstance(decoder, ConvDecoder)
    convolutions = [
        [(*layer.weight.shape[:2], layer.stride) for layer in net.modules() if is_conv(layer)]
        for net in (encoder, decoder)
    ]
    pairs = [(2, 1, 1), (2, 2, 1), (2, 1, 1), (3, 2, 2), (3, 3, 1), (3, 2, 2)]
    assert convolutions[0] == pairs
    assert convolutions[1] == [(3, 2, 2), (2, 2, 1), (2, 3, 1), (2, 2, 1)]
    assert [layer.out_features for layer in decoder.hidden] == [5, 3 * 2 * 3]
    assert all(isinstance(net.activation, torch.nn.SiLU) for net in (encoder.head, decoder))
    assert spec["name"] == "conv", "the spec is left as it was"


def is_conv(layer):
    return isinstance(layer, StridedConv2d)


@pytest.mark.parametrize(
    ("levels", "channels"),
    [
        ({}, [16, 32]),
        ({"channels": [16, 32, 32, 64, 64], "strides": [1, 2, 1, 2, 1]}, [32, 64]),
        ({"channels": [4], "strides": [1]}, [4]),
    ],
)
def test_the_classifier_pools_where_the_encoder_strides(levels, channels):
    classifier = make_coders({**CONV, **levels}, 24, []).classifier
    assert classifier["channels"] == channels
    net = make_posterior(classifier, 24, 3)
    assert isinstance(net, ConvClassifier)
    assert net(torch.zeros(5, 24)).shape == (5, 3)


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("cnn", ValueError, r"network must be one of \['conv', 'mlp'\], got 'cnn'"),
        (3, TypeError, "network must be a name or a dict with a 'name', got 3"),
        ("conv", TypeError, "network 'conv' needs image_shape"),
        (
            {"name": "mlp", "channels": [3]},
            TypeError,
            "network 'mlp' has no keyword 'channels'; it has hidden",
        ),
        (
            {"name": "conv", "image_shape": [5, 5]},
            ValueError,
            r"image_shape \[5, 5\] has 25 pixels, but a row has 24 features",
        ),
        ({**CONV, "channels": []}, ValueError, "channels must have at least one size"),
        ({**CONV, "channels": 8}, ValueError, "network's channels must be a list of positive"),
        ({**CONV, "strides": [2]}, ValueError, r"strides must be as many as channels, 2, got \[2"),
        ({**CONV, "strides": [2, 0]}, ValueError, "network's strides must be a list of positive"),
        ({**CONV, "residual": "yes"}, ValueError, "residual must be true or false, got 'yes'"),
        ({**CONV, "features": 3}, TypeError, "network 'conv' has no keyword 'features'"),
    ],
)
def test_wrong_specs(spec, error, said):
    with pytest.raises(error, match=said):
        make_coders(spec, 24, [8])
