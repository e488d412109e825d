"""Perturbations: what they do to known rows, where their randomness comes from, bad settings."""

import math

import pytest
import torch

from anabranch.networks import MLP
from anabranch.objectives.perturbations import (
    Adversarial,
    GaussianNoise,
    RandomAffine,
    make_perturbation,
    warp,
)
from tests.battery import same
from tests.registry import seeded

SHAPE = (6, 8)
IMAGES = torch.rand(5, 48, generator=seeded(0))
STILL = {"rotation": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0}
NETWORK = MLP(48, 3, (8,), generator=seeded(1))
ALL = [GaussianNoise(0.2), Adversarial(0.2), RandomAffine(SHAPE), RandomAffine(SHAPE, flip=True)]


def log_q(x):
    return torch.log_softmax(NETWORK(x).mT, 0)


@pytest.mark.parametrize("perturbation", ALL)
def test_randomness_comes_from_the_generator_alone(perturbation):
    before = torch.random.get_rng_state()
    first = perturbation(IMAGES, log_q, seeded(3))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(perturbation(IMAGES, log_q, seeded(3)), first)
    assert not torch.equal(perturbation(IMAGES, log_q, seeded(4)), first)
    assert first.shape == IMAGES.shape
    assert not torch.equal(first, IMAGES)


@pytest.mark.parametrize("perturbation", ALL)
def test_rows_are_left_as_they_were(perturbation):
    rows = IMAGES.clone()
    perturbation(rows, log_q, seeded(3))
    assert torch.equal(rows, IMAGES)


def test_noise_has_its_scale():
    moved = GaussianNoise(0.3)(torch.zeros(1000, 20), generator=seeded(0))
    assert moved.std().item() == pytest.approx(0.3, rel=0.02)


def test_the_adversarial_step_has_its_length_and_does_more_harm_than_noise():
    def harm(moved):
        held = log_q(IMAGES)
        return (held.exp() * (held - log_q(moved))).sum(0)

    step = Adversarial(0.1)(IMAGES, log_q, seeded(0)) - IMAGES
    same(step.square().mean(1).sqrt(), torch.full((5,), 0.1), 1e-5)
    noise = torch.stack(
        [harm(IMAGES + 0.1 * torch.randn(5, 48, generator=seeded(s))) for s in range(20)]
    )
    assert (harm(IMAGES + step) > 3 * noise.mean(0)).all()


def test_the_adversarial_step_follows_the_gradient_of_a_line():
    def line(x):
        return torch.log_softmax(torch.stack([x @ direction, -(x @ direction)]), 0)

    direction = torch.tensor([3.0, 4.0]) / 5
    step = Adversarial(0.5)(torch.zeros(6, 2), line, seeded(0))
    along = (step @ direction).abs()
    same(along, torch.full((6,), 0.5 * math.sqrt(2)), 1e-4)


def test_the_adversarial_step_is_finite_where_the_network_is_flat():
    def flat(x):
        return torch.log_softmax(0.0 * x[:, :2].mT, 0)

    step = Adversarial(0.1)(IMAGES, flat, seeded(0)) - IMAGES
    same(step.square().mean(1).sqrt(), torch.full((5,), 0.1), 1e-5)


def test_the_search_for_it_leaves_no_gradient_behind_and_works_without_gradients():
    NETWORK.zero_grad()
    moved = Adversarial(0.1)(IMAGES, log_q, seeded(0))
    assert not moved.requires_grad
    assert all(p.grad is None for p in NETWORK.parameters())
    with torch.no_grad():
        assert torch.equal(Adversarial(0.1)(IMAGES, log_q, seeded(0)), moved)


def test_adversarial_noise_needs_the_network():
    with pytest.raises(ValueError, match="needs log_q"):
        Adversarial(0.1)(IMAGES)


def test_an_affine_map_of_no_strength_is_the_identity():
    same(RandomAffine(SHAPE, **STILL)(IMAGES, None, seeded(0)), IMAGES, 1e-5)


def test_a_known_shift_moves_the_pixels():
    height, width = SHAPE
    one_right, one_down = -2 / width, -2 / height
    maps = torch.tensor([[[1.0, 0.0, one_right], [0.0, 1.0, one_down]]]).expand(5, 2, 3)
    moved = warp(IMAGES, maps, SHAPE, background=7.0).view(5, *SHAPE)
    same(moved[:, 1:, 1:], IMAGES.view(5, *SHAPE)[:, :-1, :-1], 1e-5)
    assert (moved[:, 0] == 7.0).all()
    assert (moved[:, :, 0] == 7.0).all()


def test_a_quarter_turn_of_a_square_and_a_wide_image():
    quarter = torch.tensor([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])
    square = torch.rand(1, 16, generator=seeded(0))
    turned = warp(square, quarter, (4, 4)).view(4, 4)
    same(turned, torch.rot90(square.view(4, 4), -1), 1e-5)
    # a line of three cells stands up: what is wide stays as long
    line = torch.zeros(1, 3, 5)
    line[0, 1, 1:4] = 1.0
    up = torch.zeros(1, 3, 5)
    up[0, :, 2] = 1.0
    same(warp(line.view(1, 15), quarter, (3, 5)), up.view(1, 15), 1e-5)


def test_flip_mirrors_half_of_the_images():
    moved = RandomAffine(SHAPE, flip=True, **STILL)(IMAGES[:1].expand(400, 48), None, seeded(0))
    mirrored = IMAGES[:1].view(1, *SHAPE).flip(-1).reshape(1, 48)
    is_mirror = (moved - mirrored).abs().amax(1) < 1e-5
    is_same = (moved - IMAGES[:1]).abs().amax(1) < 1e-5
    assert (is_mirror | is_same).all()
    assert 0.4 < is_mirror.float().mean() < 0.6


def test_noise_comes_on_top_of_an_affine_map():
    noisy = RandomAffine(SHAPE, noise=0.3, **STILL)(torch.zeros(400, 48), None, seeded(0))
    assert noisy.std().item() == pytest.approx(0.3, rel=0.03)
    assert noisy.mean().item() == pytest.approx(0.0, abs=0.01)


def test_channels_move_together():
    affine = RandomAffine((2, *SHAPE))
    one = warp(IMAGES, affine.maps(5, seeded(0)), SHAPE)
    both = affine(torch.cat([IMAGES, 1 - IMAGES], 1), None, seeded(0))
    same(both[:, :48], one, 1e-6)


def test_limits_are_kept():
    maps = RandomAffine(SHAPE, rotation=0.3, scale=(0.5, 2.0), shear=0.0, shift=0.1).maps(
        4000, seeded(0)
    )
    zoom = torch.linalg.det(maps[:, :, :2]).sqrt()
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0])
    assert 0.5 <= zoom.min() < 0.51
    assert 1.96 < zoom.max() <= 2.0
    assert 0.29 < angle.abs().max() <= 0.3 + 1e-6
    assert 0.19 < maps[:, :, 2].abs().max() <= 0.2


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("noise", GaussianNoise),
        ({"name": "noise", "scale": 0.5}, GaussianNoise),
        ({"name": "adversarial", "radius": 0.3}, Adversarial),
        ({"name": "affine", "image_shape": [6, 8], "flip": True}, RandomAffine),
    ],
)
def test_perturbations_from_plain_values(spec, kind):
    assert type(make_perturbation(spec, features=48)) is kind


def test_settings_reach_the_perturbation():
    assert make_perturbation({"name": "noise", "scale": 0.5}).scale == 0.5
    affine = make_perturbation("affine", image_shape=(6, 8), background=-0.5)
    assert affine.image_shape == (1, 6, 8)
    assert affine.background == -0.5
    own = {"name": "affine", "background": 1.0}
    assert make_perturbation(own, image_shape=(6, 8), background=-0.5).background == 1.0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("blur", r"must be one of \['adversarial', 'affine', 'noise'\].*got 'blur'"),
        ({"scale": 0.1}, "or a dict with such a name, got {'scale': 0.1}"),
        (3, "got 3"),
        ({"name": ["noise"]}, "got"),
        ("affine", "needs image_shape"),
        ({"name": "affine", "image_shape": (28, 28)}, "holds 784 values, but rows have 48"),
        ({"name": "affine", "image_shape": (48,)}, "image_shape must be"),
        ({"name": "affine", "image_shape": (-6, -8)}, "image_shape must be"),
        ({"name": "affine", "image_shape": SHAPE, "rotation": -1}, "rotation must be zero or pos"),
        ({"name": "affine", "image_shape": SHAPE, "scale": (2, 1)}, "scale must be two incr"),
        ({"name": "affine", "image_shape": SHAPE, "scale": 1.1}, "scale must be two incr"),
        ({"name": "noise", "scale": -1}, "scale must be positive and finite, got -1"),
        ({"name": "noise", "scale": "wide"}, "scale must be positive and finite, got 'wide'"),
        ({"name": "adversarial", "radius": math.inf}, "radius must be positive and finite"),
    ],
)
def test_bad_settings_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        make_perturbation(spec, features=48)


def test_unknown_keywords_are_type_errors():
    with pytest.raises(TypeError, match="'noise' takes scale; got 'radius'"):
        make_perturbation({"name": "noise", "radius": 1.0})


def test_rows_must_fit_the_image():
    with pytest.raises(ValueError, match=r"needs rows of 48 values, got x of shape \(5, 47\)"):
        RandomAffine(SHAPE)(IMAGES[:, 1:])
