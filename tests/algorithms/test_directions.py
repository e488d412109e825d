"""Mixtures of many directions against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from anabranch.algorithms.directions import (
    DirectionalMixture,
    adaptive_kernels,
    fit_directions,
    from_degrees,
    kernel_mixture,
    shared_places,
)

FLOOR = 0.02


def spread(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def three(seed=0):
    means = from_degrees([0.0, 60.0, -30.0], [0.0, 120.0, 200.0])
    return DirectionalMixture(np.array([0.5, 0.3, 0.1]), means, np.array([20.0, 200.0, 5.0]))


def test_density_is_the_mixture_of_scipys():
    mixture, x = three(), spread(50)
    parts = [
        w * stats.vonmises_fisher(m, k).pdf(x)
        for w, m, k in zip(mixture.weights, mixture.means, mixture.concentrations, strict=True)
    ]
    truth = np.log(sum(parts) + 0.1 / (4 * math.pi))
    np.testing.assert_allclose(mixture.log_prob(x), truth, atol=1e-6)


def test_responsibilities_and_blocks(monkeypatch):
    x, mixture = spread(50), three()
    whole = mixture.log_prob(x)
    monkeypatch.setattr("anabranch.algorithms.directions.BLOCK", 21)
    np.testing.assert_allclose(mixture.log_prob(x), whole, atol=1e-7)
    assert [len(part[0]) for part in mixture.blocks(x)][:2] == [7, 7]
    shares = np.concatenate([part[2] for part in mixture.blocks(x)])
    assert ((shares.sum(1) <= 1 + 1e-6) & (shares.sum(1) > 0)).all()


def test_draws_have_the_density():
    mixture = three()
    x = mixture.sample(4000, np.random.RandomState(0))
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-9)
    uniform = spread(40_000)
    weights = np.exp(mixture.log_prob(uniform)) * 4 * math.pi
    assert abs(weights.mean() - 1) < 0.05
    expected = (weights[:, None] * uniform).mean(0)
    np.testing.assert_allclose(x.mean(0), expected, atol=0.05)


def test_em_finds_what_made_the_points():
    truth = three()
    x = truth.sample(3000, np.random.RandomState(1))
    found = fit_directions(x, 12, floor=FLOOR, max_iter=60)
    fresh = truth.sample(3000, np.random.RandomState(2))
    assert truth.log_prob(fresh).mean() - found.log_prob(fresh).mean() < 0.05


def test_no_component_is_narrower_than_the_floor():
    copies = np.repeat(from_degrees([10.0], [20.0]), 30, axis=0)
    for mixture in (
        fit_directions(copies, 5, floor=FLOOR),
        adaptive_kernels(copies, floor=FLOOR),
        kernel_mixture(copies, floor=FLOOR),
        adaptive_kernels(copies[:1], floor=FLOOR),
    ):
        assert (mixture.concentrations <= 1 / FLOOR**2 + 1e-6).all()
        assert np.isfinite(mixture.log_prob(spread(5))).all()


def test_copies_across_a_split_are_counted():
    x = spread(20)
    assert shared_places(x[:10], x[5:15]) == 0.5
    assert shared_places(x[:10], x[10:]) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_degrees([91.0], [0.0]), r"latitude must be in degrees .* got 91"),
        (lambda: from_degrees([0.0], [400.0]), "longitude must be in degrees"),
        (lambda: from_degrees([0.0, 1.0], [0.0]), "must be of one length"),
        (lambda: three().log_prob([[1.0, 1.0, 0.0]]), "1 of 1 of other lengths, such as 1.41421"),
        (lambda: three().log_prob([[1.0, 0.0]]), r"must have shape \(N, 3\), got \(1, 2\)"),
        (lambda: fit_directions(spread(4), 5, floor=FLOOR), r"n_components must be in 1\.\.4"),
        (lambda: adaptive_kernels(spread(4), floor=0.0), "must be positive, got 0.0"),
        (lambda: kernel_mixture(spread(4), floor=FLOOR), "at least 16 rows, got 4"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
