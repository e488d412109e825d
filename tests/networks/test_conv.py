"""Stacked convolutions and the networks over images."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, max_pool2d, pixel_shuffle, pixel_unshuffle

from anabranch.networks import Conv2d, ConvClassifier, ConvNet, select_component
from anabranch.networks.conv import image_size
from anabranch.networks.convnet import check_patch, from_patches, to_patches
from tests.battery import same
from tests.registry import perturb, seeded


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def peer_of(weight, bias):
    """torch's own convolution with these parameters."""
    outputs, inputs, size, _ = weight.shape
    peer = nn.Conv2d(inputs, outputs, size, padding=size // 2).double()
    peer.weight.data, peer.bias.data = weight.detach().clone(), bias.detach().clone()
    return peer


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("own_x", [False, True])
def test_stacked_convolution_equals_torch_in_value_and_gradients(kernel_size, own_x):
    layer = Conv2d(2, 3, kernel_size, batch_shape=(4,), generator=seeded(1)).double()
    x = randn(*(4,) * own_x, 5, 2, 6, 4).requires_grad_()
    cotangent = randn(4, 5, 3, 6, 4, seed=2)
    (layer(x) * cotangent).sum().backward()
    expected_x = torch.zeros_like(x)
    for k in range(4):
        peer = peer_of(layer.weight[k], layer.bias[k])
        y = (x[k] if own_x else x).detach().clone().requires_grad_()
        same(layer(x)[k].detach(), peer(y).detach(), 1e-12)
        (peer(y) * cotangent[k]).sum().backward()
        same(layer.weight.grad[k], peer.weight.grad, 1e-11)
        same(layer.bias.grad[k], peer.bias.grad, 1e-11)
        (expected_x[k] if own_x else expected_x).add_(y.grad)
    same(x.grad, expected_x, 1e-11)


@pytest.mark.parametrize("batch_shape", [(), (2, 3)])
def test_other_stacks(batch_shape):
    layer = perturb(Conv2d(2, 3, batch_shape=batch_shape).double())
    x = randn(5, 2, 4, 4)
    whole = layer(x)
    assert whole.shape == (*batch_shape, 5, 3, 4, 4)
    weights, biases = layer.weight.reshape(-1, 3, 2, 3, 3), layer.bias.reshape(-1, 3)
    for one, weight, bias in zip(whole.reshape(-1, 5, 3, 4, 4), weights, biases, strict=True):
        same(one, conv2d(x, weight, bias, padding=1), 1e-12)


def test_initial_weights_come_from_the_generator_within_their_limit():
    state = torch.get_rng_state()
    first, second = (Conv2d(4, 30, batch_shape=(3,), generator=seeded(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.weight, second.weight)
    assert first.weight.abs().max() <= 1 / 6
    assert first.weight.std().item() == pytest.approx(1 / 6 / 3**0.5, rel=0.1)
    assert not torch.equal(first.weight[0], first.weight[1])
    assert not any(p.any() for p in Conv2d(2, 3, zero=True).parameters())


@pytest.mark.parametrize("kernel_size", [0, 2])
def test_an_even_kernel(kernel_size):
    with pytest.raises(
        ValueError, match=f"kernel_size must be odd and positive, got {kernel_size}"
    ):
        Conv2d(1, 1, kernel_size)


@pytest.mark.parametrize("patch", [1, 2])
def test_patches_are_those_of_torch(patch):
    x = randn(3, 2, 4, 6)
    same(to_patches(x, patch), pixel_unshuffle(x, patch))
    same(from_patches(to_patches(x, patch), patch), x)


@pytest.mark.parametrize(
    ("shape", "features", "said"),
    [
        ([28, 28], 700, r"image_shape \[28, 28\] has 784 pixels, but a row has 700 features"),
        ([28], 28, r"image_shape must be \(H, W\) or \(C, H, W\) in positive integers, got \[28\]"),
        ([0, 28], 0, "positive integers"),
        ([2.0, 2.0], 4, "positive integers"),
    ],
)
def test_wrong_image_shapes(shape, features, said):
    with pytest.raises(ValueError, match=said):
        image_size(shape, features)
    assert image_size((3, 4, 5), 60) == (3, 4, 5)


@pytest.mark.parametrize("patch", [0, 3])
def test_a_patch_that_does_not_divide(patch):
    with pytest.raises(ValueError, match=f"patch must divide both sides.*4 and 6, got {patch}"):
        check_patch((4, 6), patch)


SHAPES = (2, 4, 6), (3, 4, 6)


def conv_net(batch_shape=(), context_shape=0, patch=2, **kwargs):
    net = ConvNet(
        *SHAPES,
        channels=5,
        patch=patch,
        context_shape=context_shape,
        batch_shape=batch_shape,
        **kwargs,
    )
    return perturb(net.double())


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("context_shape", [(), (2,), (2, 4, 6)])
def test_conv_net_equals_the_formula(patch, context_shape):
    net = conv_net(context_shape=context_shape, patch=patch, n_blocks=2)
    x, context = randn(7, 2, 4, 6), randn(7, *context_shape, seed=1)

    def conv(layer, maps):
        return conv2d(maps, layer.weight, layer.bias, padding=1)

    seen = torch.cat((x, context), 1) if len(context_shape) == 3 else x
    h = conv(net.first, pixel_unshuffle(seen, patch)) + net.position
    if len(context_shape) == 1:
        weight, bias = net.condition.weight, net.condition.bias
        h = h + (context @ weight.T + bias.T)[:, :, None, None]
    for i in (0, 2):
        h = h + conv(net.blocks[i + 1], conv(net.blocks[i], h.relu()).relu())
    y = pixel_shuffle(conv(net.last, h.relu()), patch)
    same(net(x, context if context_shape else None), y, 1e-11)


@pytest.mark.parametrize("own_x", [False, True])
@pytest.mark.parametrize("own_context", [False, True])
@pytest.mark.parametrize("context_shape", [(2,), (2, 4, 6)])
def test_stacked_conv_net_equals_a_loop(own_x, own_context, context_shape):
    net = conv_net((3,), context_shape=context_shape)
    x = randn(*(3,) * own_x, 7, 2, 4, 6)
    context = randn(*(3,) * own_context, 7, *context_shape, seed=1)
    whole = net(x, context)
    for k in range(3):
        one = select_component(net, k)(x[k] if own_x else x, context[k] if own_context else context)
        same(whole[k], one, 1e-12)


def test_conv_net_sees_rows_one_by_one_and_places_apart():
    net = conv_net()
    x = randn(7, 2, 4, 6)
    same(net(x[2:3]), net(x)[2:3], 1e-12)
    matrix = torch.autograd.functional.jacobian(lambda row: net(row[None])[0], x[0])
    assert matrix.all(), "an output that does not see a pixel within its reach"


def test_a_fresh_conv_net_tells_zero():
    assert not ConvNet(*SHAPES, channels=5)(torch.ones(3, 2, 4, 6)).any()
    assert ConvNet(*SHAPES, channels=5, zero_last=False)(torch.ones(3, 2, 4, 6)).all()


@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_no_rows_at_all(batch_shape):
    empty = torch.zeros(0, 2, 4, 6, dtype=torch.float64)
    assert conv_net(batch_shape)(empty).shape == (*batch_shape, 0, 3, 4, 6)
    classifier = ConvClassifier((4, 6), 3, (2, 2), batch_shape=batch_shape)
    assert classifier(torch.zeros(0, 24)).shape == (*batch_shape, 0, 3)


@pytest.mark.parametrize("context", [None, torch.zeros(7, 3, dtype=torch.float64)])
def test_missing_or_wrong_context(context):
    with pytest.raises(ValueError, match=r"context must have shape \(\.\.\., 2\)"):
        conv_net(context_shape=2)(randn(7, 2, 4, 6), context)


def test_images_of_unlike_sides_are_refused():
    with pytest.raises(ValueError, match=r"images of \(2, 4, 6\) and \(2, 6, 4\) differ"):
        ConvNet((2, 4, 6), (2, 6, 4))
    with pytest.raises(ValueError, match=r"images of \(2, 4, 6\) and \(1, 2, 3\) differ"):
        ConvNet((2, 4, 6), (2, 4, 6), context_shape=(1, 2, 3))


def test_classifier_equals_the_formula_and_a_loop():
    stack = perturb(ConvClassifier((2, 5, 7), 4, (3, 6), (8,), batch_shape=(3,)).double())
    x = randn(5, 70)
    whole = stack(x)
    for k in range(3):
        one = select_component(stack, k)
        same(whole[k], one(x), 1e-12)
        h = x.view(5, 2, 5, 7)
        for layer in one.convolutions:
            h = max_pool2d(conv2d(h, layer.weight, layer.bias, padding=1).relu(), 2, ceil_mode=True)
        assert h.shape == (5, 6, 2, 2)
        same(one(x), one.head(h.flatten(1)), 1e-12)


def test_classifier_learns_a_pattern_wherever_it_is():
    """Bars and columns at random places, which no single pixel tells apart."""
    generator = seeded(0)
    place, kind = (torch.randint(0, n, (400,), generator=generator) for n in (8, 2))
    line = torch.nn.functional.one_hot(place, 8).float()[:, :, None].expand(-1, -1, 8)
    x = torch.where(kind[:, None, None] > 0, line, line.mT).flatten(1)
    net = ConvClassifier((8, 8), 2, (4,), (8,), generator=generator)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), kind).backward()
        optimizer.step()
    assert (net(x).argmax(1) == kind).float().mean() > 0.99
