"""Calibration of posteriors that are known: true ones pass, and each fault is seen."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from anabranch.functional import inverse_multiquadratic_mmd
from anabranch.metrics import (
    interval_coverage,
    maximum_mean_discrepancy,
    median_calibration_error,
    resimulation_error,
    sbc_p_values,
    sbc_ranks,
    tarp_coverage,
)

M, N = 800, 300


def simulated(seed=0, scale=1.0, shift=0.0, rho=0.8):
    """theta ~ N(0, I) of two columns, x = theta + noise; draws of posteriors that may be wrong."""
    random = np.random.default_rng(seed)
    theta = random.normal(size=(M, 2)) @ np.linalg.cholesky([[1, rho], [rho, 1]]).T
    x = theta + random.normal(size=(M, 2))
    prior = np.array([[1, rho], [rho, 1]])
    gain = prior @ np.linalg.inv(prior + np.eye(2))
    root = np.linalg.cholesky(prior - gain @ prior)
    noise = random.normal(size=(M, N, 2)) @ root.T
    return theta, (x @ gain.T + shift)[:, None] + scale * noise


def test_true_posteriors_pass():
    theta, draws = simulated()
    ranks = sbc_ranks(theta, draws)
    assert ranks.min() >= 0
    assert ranks.max() <= N
    assert (sbc_p_values(ranks, N) > 0.01).all()
    assert (median_calibration_error(theta, draws) < 0.02).all()
    assert tarp_coverage(theta, draws, random_state=0).error < 0.02


@pytest.mark.parametrize("fault", [{"scale": 0.5}, {"scale": 2.0}, {"shift": 0.4}])
def test_wrong_posteriors_fail(fault):
    theta, draws = simulated(**fault)
    assert (sbc_p_values(sbc_ranks(theta, draws), N) < 1e-4).all()
    assert (median_calibration_error(theta, draws) > 0.03).all()


def test_tarp_sees_a_dependence_that_marginals_do_not():
    theta, draws = simulated()
    random = np.random.default_rng(1)
    broken = draws.copy()
    for row in broken:
        row[:, 1] = random.permutation(row[:, 1])
    assert (sbc_p_values(sbc_ranks(theta, broken), N) > 0.01).all()
    towards = draws.mean(1) + np.array([3.0, -3.0])  # seen from there, the width across is told
    true = tarp_coverage(theta, draws, references=towards).error
    assert true < 0.03
    assert tarp_coverage(theta, broken, references=towards).error > 3 * true


def test_the_error_of_narrow_intervals_is_known():
    """Of half the width, an interval of level q holds 2 Phi(z_q / 2) - 1."""
    random = np.random.default_rng(0)
    theta = random.normal(size=(9000, 1))
    draws = 0.5 * norm.ppf((np.arange(1000) + 0.5) / 1000)[None, :, None]
    draws = np.broadcast_to(draws, (9000, 1000, 1))  # of the same posterior
    levels = np.arange(1, 100) / 100
    held = 2 * norm.cdf(0.5 * norm.ppf((1 + levels) / 2)) - 1
    assert interval_coverage(theta, draws)[:, 0] == pytest.approx(held - levels, abs=0.015)


def test_discrepancy_of_tensors_and_arrays_is_the_same():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 3)), random.normal(size=(50, 3)) + 0.5
    known = sum(
        k(x, x, h).mean() + k(y, y, h).mean() - 2 * k(x, y, h).mean() for h in (0.05, 0.2, 0.9)
    )
    assert maximum_mean_discrepancy(x, y) == pytest.approx(known)
    a, b = torch.tensor(x, requires_grad=True), torch.tensor(y)
    found = inverse_multiquadratic_mmd(a, b)
    assert found.item() == pytest.approx(known)
    assert torch.autograd.gradcheck(lambda a: inverse_multiquadratic_mmd(a, b), a)
    assert maximum_mean_discrepancy(x, x) == pytest.approx(0, abs=1e-12)


def k(a, b, h):
    return h**2 / (h**2 + np.square(a[:, None] - b).sum(-1))


def test_resimulation():
    observed = np.array([[0.0, 1.0], [2.0, 2.0]])
    simulated = observed[:, None] + np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    assert resimulation_error(observed, simulated) == pytest.approx(5 / 3)


@pytest.mark.parametrize(
    ("theta", "draws", "message"),
    [
        (np.zeros(3), np.zeros((3, 2, 1)), r"theta must have shape \(m, D\)"),
        (np.zeros((3, 1)), np.zeros((3, 1)), r"draws must have shape \(3, n, 1\)"),
        (np.zeros((3, 1)), np.zeros((3, 2, 2)), r"draws must have shape \(3, n, 1\)"),
        (np.full((3, 1), np.nan), np.zeros((3, 2, 1)), "theta holds NaN"),
    ],
)
def test_misfits_are_named(theta, draws, message):
    with pytest.raises(ValueError, match=message):
        sbc_ranks(theta, draws)


def test_other_misfits_are_named():
    with pytest.raises(ValueError, match="ranks must be"):
        sbc_p_values([[3]], 2)
    with pytest.raises(ValueError, match="references must have shape"):
        tarp_coverage(np.zeros((2, 1)), np.zeros((2, 3, 1)), references=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="widths must be positive"):
        maximum_mean_discrepancy([0.0], [1.0], widths=[0.0])
    with pytest.raises(ValueError, match="x has 1 features, y has 2"):
        maximum_mean_discrepancy([0.0], [[1.0, 1.0]])
