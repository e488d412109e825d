"""What each number of an image sees: by autograd, beside the sets that the definitions say."""

import itertools

import pytest
import torch

from anabranch.models import build
from anabranch.networks import CausalConv2d, PixelContext, PixelSizes
from tests.registry import perturb, seeded

LAYERS = {"pixelcnn": "n_blocks", "gated_pixelcnn": "n_layers", "row_lstm": "n_layers"}
RECIPES = ("pixelcnn", "gated_pixelcnn", "row_lstm", "diagonal_bilstm")


def made(name, image_shape, layers, **keywords):
    depth = {LAYERS.get(name, "n_layers"): layers}
    model = build(name, image_shape=image_shape, channels=12, seed=0, **depth, **keywords)
    return perturb(model, std=0.5).double().eval()


def seen(model):
    """For each number (g, r, c) of an image, the numbers that its parameters depend on."""
    found = {}
    for trial in range(4):  # a unit that is off hides what it would have seen
        x = 3 * torch.randn(1, *model.event_shape, generator=seeded(trial), dtype=torch.float64)
        params = model.network(x.requires_grad_()).sum(0)[0]
        for place in itertools.product(*map(range, model.event_shape)):
            (grad,) = torch.autograd.grad(params[place], x, retain_graph=True)
            found.setdefault(place, set()).update(map(tuple, grad[0].nonzero().tolist()))
    return found


def before(place, image_shape):
    """All numbers before one: pixel after pixel, the colours of a pixel one after the other."""
    order = lambda p: (p[1], p[2], p[0])  # noqa: E731
    everywhere = itertools.product(*map(range, image_shape))
    return {p for p in everywhere if order(p) < order(place)}


def within(place, image_shape, shape_of_view):
    """Those before it whose pixel, i rows above and j columns right, is in view."""
    g, r, c = place
    kept = lambda p: (p[1:] == (r, c)) or shape_of_view(r - p[1], p[2] - c)  # noqa: E731
    return {p for p in before((g, r, c), image_shape) if kept(p)}


@pytest.mark.parametrize("image_shape", [(1, 4, 6), (3, 3, 3)])
@pytest.mark.parametrize("name", ["gated_pixelcnn", "diagonal_bilstm"])
def test_all_numbers_before_are_seen_and_none_to_come(name, image_shape):
    layers = 6 if name == "gated_pixelcnn" else 1
    found = seen(made(name, image_shape, layers, first_kernel=3))
    assert found == {place: before(place, image_shape) for place in found}


@pytest.mark.parametrize("image_shape", [(1, 4, 6), (2, 3, 4)])
def test_pixelcnn_has_its_blind_spot(image_shape):
    found = seen(made("pixelcnn", image_shape, 5, first_kernel=3))
    # steps go to the left, or one row up and at most one column to the right
    expected = {p: within(p, image_shape, lambda i, j: j <= i) for p in found}
    assert found == expected
    above = (0, image_shape[1] - 2, image_shape[2] - 1)
    assert above not in found[(0, image_shape[1] - 1, 0)]


@pytest.mark.parametrize("image_shape", [(1, 5, 7), (2, 3, 5)])
def test_row_lstm_sees_its_triangle(image_shape):
    found = seen(made("row_lstm", image_shape, 1, first_kernel=3))
    # the first layer and the causal convolution of the LSTM each reach one further to the left
    expected = {p: within(p, image_shape, lambda i, j: -i - 2 <= j <= i) for p in found}
    assert found == expected


@pytest.mark.parametrize("name", RECIPES)
def test_a_map_as_context_is_seen_at_its_place_by_all(name):
    model = made(name, (1, 3, 3), 1, context_features=(2, 3, 3))
    x, context = torch.ones(1, 1, 3, 3).double(), torch.ones(1, 2, 3, 3).double()
    params = model.network(x, context.requires_grad_())
    (grad,) = torch.autograd.grad(params.sum(), context)
    assert (grad != 0).all()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("context", [0, 2, (2, 3, 4)], ids=["none", "class", "map"])
@pytest.mark.parametrize("colours", [1, 3])
def test_one_pixel_after_the_other_gives_the_parameters_of_a_full_pass(name, context, colours):
    shape, n = (colours, 3, 4), 5
    model = made(name, shape, 2, levels=4, position=True, context_features=context)
    given = None
    if context:
        given = torch.randn(n, *model.context_shape, generator=seeded(2)).double()
    met, source = [], seeded(1)

    def draw(params):
        met.append(params.clone())
        return model.head.sample(params, source)

    x = model.network.in_turn(draw, torch.zeros(n, *shape).double(), given)
    walked = torch.stack(met).reshape(3, 4, colours, -1, n).permute(3, 4, 2, 0, 1)
    full = model.parameters_of(x, given)
    assert full.std() > 0.02
    torch.testing.assert_close(walked, full, atol=1e-12, rtol=0)
    assert model.domain.contains(x).all()


def test_sizes_that_cannot_be():
    with pytest.raises(ValueError, match="channels must be at least the 3 of the image, got 2"):
        build("pixelcnn", image_shape=(3, 4, 4), channels=2)
    with pytest.raises(ValueError, match="kernel_size must be odd and positive, got 4"):
        CausalConv2d((0,), (0,), 4)
    with pytest.raises(ValueError, match="kernel_size must be odd, at least 3, got 1"):
        build("gated_pixelcnn", image_shape=(4, 4), first_kernel=1)
    with pytest.raises(ValueError, match=r"levels must be an integer of at least 2, got 1"):
        PixelSizes((4, 4), 1, levels=1)
    with pytest.raises(ValueError, match=r"image_shape must be \(H, W\) or \(C, H, W\)"):
        build("row_lstm", image_shape=(4,))
    with pytest.raises(ValueError, match=r"sides 4 and 5 of the images, got \(2, 5, 4\)"):
        PixelContext(3, (1, 4, 5), (2, 5, 4))
    with pytest.raises(ValueError, match="blocks must be at least one, got none"):
        build("pixelcnn", image_shape=(4, 4), n_blocks=0)
    with pytest.raises(ValueError, match=r"head must be one of .* or None, got 'normal'"):
        build("pixelcnn", image_shape=(4, 4), levels=4, head="normal")
