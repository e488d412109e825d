"""Glow given an image: exact, told at each scale, and of shapes that fit."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from anabranch import NeuralPosterior
from anabranch.experiments import Run, super_resolution
from anabranch.models import conditional_glow, independent_pixels
from anabranch.networks import ContextPyramid
from anabranch.transforms import Affine, Coupling, GivenPart, Reverse
from tests.registry import perturb, seeded

SHAPES = ("image_shape", "condition_shape")
SMALL = {"image_shape": [4, 4], "condition_shape": [2, 2], "n_steps": 1, "channels": 4}


@pytest.fixture(scope="module")
def flow():
    return perturb(conditional_glow(16, **SMALL, seed=0)).double().eval()


def given(n=1):
    y, x = torch.randn(n, 20, generator=seeded(1)).double().split((16, 4), 1)
    return y, x


def test_the_density_is_that_of_the_jacobian(flow):
    y, x = given()
    z, _ = flow.transform.encode(y, x)
    J = jacobian(lambda a: flow.transform.encode(a, x)[0], y)[0, :, 0]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    expected = normal + torch.linalg.slogdet(J)[1]
    assert flow.log_prob(y, x).item() == pytest.approx(expected.item())
    back, _ = flow.transform.decode(z, x)
    torch.testing.assert_close(back, y)


def test_each_scale_is_told(flow):
    """Latents of both scales change with the condition, and with its map of that scale."""
    y, x = given()
    inner, network = flow.transform.transform, flow.transform.network
    scales = inner.transforms[1]
    J = jacobian(lambda c: inner.encode(y, c)[0], network(x))[0, :, 0]
    first, second = (part.numel() for part in scales.parts(torch.zeros(1, 16)))
    large, small = (int(np.prod(shape)) for shape in network.shapes)
    assert (first, second) == (8, 8)
    assert J.shape == (16, large + small)
    assert (J[:first, large:] == 0).all()  # what has left is not told of smaller maps
    assert (J[:first, :large] != 0).any()
    assert (J[first:, large:] != 0).any()


def test_samples_follow_the_condition(flow):
    _, x = given(2)
    one, other = flow.sample(64, x, generator=seeded(0)).mean(0)
    assert (one - other).abs().max() > 0.05


def test_maps_of_an_image_at_several_scales():
    net = ContextPyramid((1, 3, 5), [(6, 10), (3, 5), (2, 3)], channels=8, generator=seeded(0))
    c = torch.randn(2, 4, 15, generator=seeded(1), requires_grad=True)
    maps = net(c)
    assert maps.shape == (2, 4, net.size)
    assert net.size == 8 * (60 + 15 + 6)
    torch.testing.assert_close(maps[1, 2], net(c[1, 2]))
    for part in maps[0, 0].split([8 * 60, 8 * 15, 8 * 6]):
        (slope,) = torch.autograd.grad(part.square().sum(), c, retain_graph=True)
        assert (slope[0, 0] != 0).any()
        assert (slope[1] == 0).all()
    with pytest.raises(ValueError, match="sides must halve"):
        ContextPyramid((2, 2), [(4, 4), (3, 3)])


def test_parts_that_do_not_lie_within_are_refused():
    with pytest.raises(ValueError, match="takes no context"):
        GivenPart(Reverse(2), 3)
    with pytest.raises(ValueError, match="numbers 2 to 4 of a context of 3"):
        GivenPart(Coupling(Affine(), 2, context_features=2), 3, start=2)
    with pytest.raises(ValueError, match="has 4 pixels, but a row has 5 features"):
        conditional_glow(16, **SMALL, context_features=5)


def test_an_estimator_completes_images():
    """Of stripes that the condition names, the likely completion is the right one."""
    random = np.random.default_rng(0)
    bright = random.integers(0, 2, (300, 4))
    large = bright.reshape(-1, 2, 2).repeat(2, 1).repeat(2, 2).reshape(-1, 16)
    large = large + 0.1 * random.normal(size=(300, 16))
    recipe = {"name": "conditional_glow", **SMALL}
    model = NeuralPosterior(recipe, max_epochs=3, random_state=0).fit(large, bright)
    drawn = model.sample(20, bright[:10]).reshape(20, 10, 2, 2, 2, 2).mean((0, 3, 5))
    assert np.abs(drawn.reshape(10, 4) - bright[:10]).max() < 0.3


def test_single_pixels_by_hand():
    model = perturb(independent_pixels(16, **{k: SMALL[k] for k in SHAPES}, levels=8, channels=4))
    y, x = torch.randint(8, (3, 16), generator=seeded(0)).float(), torch.randn(3, 4)
    parameters = model.network(x)
    assert parameters.shape == (3, 3, 16)
    expected = [model.head.log_prob(one, own).sum() for one, own in zip(y, parameters, strict=True)]
    torch.testing.assert_close(model.log_prob(y, x), torch.stack(expected))
    # all that a pixel can be sums to one
    states = torch.arange(8.0).repeat(16, 1).T
    params = model.network(x[:1]).movedim(1, 0)
    torch.testing.assert_close(
        model.head.log_prob(states, params).exp().sum(0), torch.ones(16), atol=1e-5, rtol=0
    )


def test_super_resolution_runs(monkeypatch):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (520, 784)).astype(float), np.zeros(520, int)
    monkeypatch.setattr(super_resolution, "images", lambda *_: pictures)
    monkeypatch.setattr(super_resolution, "TESTED", 8)
    monkeypatch.setitem(super_resolution.SECONDS, "cpu", 0.1)
    monkeypatch.setitem(super_resolution.FLOW, "n_steps", 1)
    monkeypatch.setitem(super_resolution.FLOW, "channels", 4)
    monkeypatch.setitem(super_resolution.PIXELS, "channels", 4)
    outcome = super_resolution.super_resolution(Run(seeds=(0,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert values["steps that were not finite"] == 0
    assert all(np.isfinite(list(values.values())))
    assert outcome.pictures["draws.png"][:4] == b"\x89PNG"
