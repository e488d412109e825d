"""Convolutional encoders and decoders: sizes, labels, mirrors, and where pixels lie."""

import pytest
import torch
from torch.nn.functional import conv2d

from anabranch.networks import ConvDecoder, ConvEncoder
from anabranch.networks.conv_block import ConvBlock
from anabranch.networks.conv_encoder import level_sides
from anabranch.networks.strided_conv import StridedConv2d
from tests.registry import seeded

IMAGES = [(8, 8), (7, 9), (2, 5, 6), (1, 1, 3)]
LEVELS = [{"channels": (3, 4)}, {"channels": (3, 4, 4, 5), "strides": (1, 2, 1, 3)}]


def randn(*shape):
    return torch.randn(*shape, generator=seeded(0), dtype=torch.float64)


# -- layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_a_stride_takes_every_so_many_places(stride, kernel_size):
    layer = StridedConv2d(2, 3, stride=stride, kernel_size=kernel_size).double()
    x = randn(4, 2, 7, 8)
    every = conv2d(x, layer.weight, layer.bias, padding=kernel_size // 2)
    torch.testing.assert_close(layer(x), every[..., ::stride, ::stride])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(7, 8), (6, 9), (1, 2)])
def test_the_transposed_one_is_its_adjoint(stride, sides):
    there = StridedConv2d(2, 3, stride=stride).double()
    back = StridedConv2d(3, 2, stride=stride, enlarged=sides).double()
    for layer in (there, back):
        layer.bias.data.zero_()
    back.weight.data = there.weight.data
    x = randn(4, 2, *sides)
    y = randn(*there(x).shape)
    assert back(y).shape == x.shape
    torch.testing.assert_close((there(x) * y).sum(), (x * back(y)).sum())


def test_a_residual_pair_adds_what_it_was_given():
    x = randn(4, 3, 6, 6)
    block = ConvBlock(3, 3, residual=True, activation="tanh").double()
    assert block.shortcut is None
    expected = torch.tanh(block.second(torch.tanh(block.first(x))) + x)
    torch.testing.assert_close(block(x), expected)
    block = ConvBlock(3, 5, residual=True, stride=2).double()
    for parameter in block.second.parameters():
        parameter.data.zero_()
    places = conv2d(x[..., ::2, ::2], block.shortcut.weight, block.shortcut.bias)
    torch.testing.assert_close(block(x), torch.relu(places))


def test_a_residual_pair_repeats_places_where_it_enlarges():
    x = randn(4, 3, 3, 4)
    block = ConvBlock(3, 3, residual=True, stride=2, enlarged=(6, 8), activation="elu").double()
    for parameter in block.second.parameters():
        parameter.data.zero_()
    skipped = conv2d(x, block.shortcut.weight, block.shortcut.bias)
    repeated = skipped.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(block(x), torch.nn.functional.elu(repeated))
    odd = ConvBlock(3, 2, residual=True, stride=2, enlarged=(5, 7)).double()
    assert odd(x).shape == (4, 2, 5, 7)


# -- encoders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_shape", IMAGES)
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("residual", [False, True])
def test_all_labels_are_what_each_gives_alone(image_shape, levels, residual):
    net = ConvEncoder(
        image_shape, 3, 2, **levels, residual=residual, hidden=(6, 5), generator=seeded(0)
    ).double()
    x = randn(torch.Size(image_shape).numel(), 7)
    every = net.columns(x)
    assert every.shape == (2, 3, 7)
    for k in range(3):
        one = torch.eye(3).double()[:, k, None].expand(3, 7)
        torch.testing.assert_close(net.columns(x, one), every[:, k])
        stacked = net.columns(x, one[:, None].expand(3, 5, 7))
        torch.testing.assert_close(stacked, every[:, k, None].expand(2, 5, 7))
    assert not torch.allclose(every[:, 0], every[:, 1])


def test_images_are_seen_once_for_all_labels():
    net, seen = ConvEncoder((8, 8), 10, 2), []
    net.blocks.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    net.columns(torch.rand(64, 7))
    net.columns(torch.rand(64, 7), torch.eye(10)[:, :1, None].expand(10, 15, 7))
    assert seen == [7, 7]


def test_pixels_lie_channel_after_channel():
    net = ConvEncoder((2, 5, 6), 0, 3, (4,), hidden=(5,), activation="tanh").double()
    x = randn(9, 2, 5, 6)
    first = net.blocks[0].first
    found = torch.tanh(conv2d(x, first.weight, first.bias, stride=2, padding=1))
    expected = net.head.columns(found.flatten(1).mT)
    torch.testing.assert_close(net.columns(x.flatten(1).mT), expected)
    assert expected.shape == (3, 1, 9)


def test_the_last_layer_and_the_labels_are_at_hand():
    net = ConvEncoder((4, 4), 3, 2, hidden=(6,))
    assert net.last is net.head.last
    assert net.label is net.head.label
    assert ConvEncoder((4, 4), 0, 2).label is None


# -- decoders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_shape", IMAGES)
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("residual", [False, True])
def test_rows_and_columns_agree(image_shape, levels, residual):
    net = ConvDecoder(
        3, image_shape, 2, **levels, residual=residual, hidden=(6, 5), generator=seeded(0)
    ).double()
    z = randn(7, 3)
    x = net(z)
    assert x.shape == (7, 2 * torch.Size(image_shape).numel())
    torch.testing.assert_close(net.columns(z.mT), x.mT)
    assert [layer.in_features for layer in net.hidden] == [3, 5, 6]
    torch.testing.assert_close(net(z[:2]), x[:2])


def test_parameters_come_one_after_another_then_channels():
    net = ConvDecoder(3, (2, 4, 5), 2, (3,), hidden=())
    net.last.weight.data.zero_()
    net.last.bias.data = torch.arange(4.0)  # two means, two scales
    expected = torch.arange(4.0).repeat_interleave(20)
    assert torch.equal(net(torch.zeros(1, 3))[0], expected)


def test_places_of_the_code_are_places_of_the_image():
    net = ConvDecoder(3, (8, 8), 1, (2, 2), hidden=(), generator=seeded(0)).double()
    places = torch.zeros(5, 2, 2, 2).double()
    for i in range(4):
        places[i + 1, :, i // 2, i % 2] = 1.0
    images = net.last(net.blocks(places)).squeeze(1).detach()
    changed = images[1:] != images[0]
    corners = changed[:, [0, 0, 7, 7], [0, 7, 0, 7]]
    assert torch.equal(corners, torch.eye(4).bool())


def test_sides_after_each_level():
    assert (
        level_sides((1, 28, 28), (1, 2, 1, 2, 1)) == [(28, 28)] * 2 + [(14, 14)] * 2 + [(7, 7)] * 2
    )


# -- seeds and errors ------------------------------------------------------------------------------


def test_a_generator_decides_all_weights():
    def weights(seed):
        both = (
            ConvEncoder((4, 4), 2, 3, residual=True, generator=seeded(seed)),
            ConvDecoder(2, (4, 4), 2, residual=True, generator=seeded(seed)),
        )
        return [parameter for net in both for parameter in net.parameters()]

    state = torch.get_rng_state()
    first, again, other = weights(0), weights(0), weights(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (4,)}, r"image_shape must be \(H, W\) or \(C, H, W\)"),
        ({"channels": ()}, "channels must have at least one size"),
        ({"strides": (2,)}, r"strides must be as many as channels, 2, got \[2\]"),
        ({"activation": "sine"}, "activation must be one of"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    given = {"image_shape": (4, 4), **changes}
    with pytest.raises(ValueError, match=message):
        ConvEncoder(n_labels=2, out_features=2, **given)
    with pytest.raises(ValueError, match=message):
        ConvDecoder(2, **given)


def test_labels_need_a_hidden_layer():
    with pytest.raises(ValueError, match="hidden must be positive integers, at least one"):
        ConvEncoder((4, 4), 2, 2, hidden=())
