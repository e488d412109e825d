"""Importance diagnostics against distributions that are known."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from anabranch.metrics import importance_diagnostics, pareto_k

# q = N(0, 1), p = N(m, 1): KL m^2 / 2, and E w^2 = exp(m^2)
SHIFT, LOG_Z = 0.5, 3.0


def log_weights(n, seed=0):
    x = np.random.RandomState(seed).standard_normal(n)
    return LOG_Z + SHIFT * x - SHIFT**2 / 2


def test_of_two_normals():
    found = importance_diagnostics(log_weights(200_000))
    assert found.log_z == pytest.approx(LOG_Z, abs=4 * found.log_z_error)
    assert found.log_z_error == pytest.approx(np.sqrt(np.expm1(SHIFT**2) / 200_000), rel=0.02)
    assert found.ess == pytest.approx(np.exp(-(SHIFT**2)), rel=0.01)
    assert found.kl == pytest.approx(SHIFT**2 / 2, abs=4 * found.kl_error)


@pytest.mark.parametrize("log_z", [None, LOG_Z])
def test_standard_errors_are_those_of_repetition(log_z):
    found = [importance_diagnostics(log_weights(2000, seed), log_z) for seed in range(300)]
    kls, errors = np.array([f.kl for f in found]), np.array([f.kl_error for f in found])
    assert errors.mean() == pytest.approx(kls.std(), rel=0.15)
    assert kls.mean() == pytest.approx(SHIFT**2 / 2, abs=4 * kls.std() / np.sqrt(300))


def test_a_known_log_z_is_used_for_the_divergence():
    found = importance_diagnostics([0.0, 1.0], log_z=2.0)
    assert found.kl == pytest.approx(1.5)
    assert found.log_z == pytest.approx(np.log((1 + np.e) / 2))


def test_weights_of_zero():
    found = importance_diagnostics([0.0, -np.inf])
    assert found.log_z == pytest.approx(-np.log(2))
    assert found.ess == pytest.approx(0.5)
    assert found.kl == np.inf


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([1.0], r"shape \(n,\) with n >= 2, got \(1,\)"),
        ([[1.0, 2.0]], r"got \(1, 2\)"),
        ([0.0, np.nan], "no NaN"),
        ([0.0, np.inf], "below infinity"),
        ([-np.inf, -np.inf], "at least one finite"),
    ],
)
def test_bad_weights(weights, named):
    with pytest.raises(ValueError, match=named):
        importance_diagnostics(weights)


needs_arviz_stats = pytest.mark.skipif(
    find_spec("arviz_stats") is None, reason="arviz-stats needs numpy 2, of which we promise less"
)


@needs_arviz_stats
@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_the_shape_of_a_pareto_tail_is_found(k):
    # exp(k E) of a standard exponential E is Pareto with this shape
    found = [pareto_k(k * np.random.RandomState(s).exponential(size=20_000)) for s in range(10)]
    assert np.mean(found) == pytest.approx(k, abs=0.1)


@needs_arviz_stats
def test_weights_without_a_tail_have_no_positive_shape():
    uniform = np.log(np.random.RandomState(0).uniform(size=20_000))
    assert pareto_k(uniform) < 0
    assert pareto_k([*uniform, -np.inf]) == pareto_k(uniform)
    with pytest.raises(ValueError, match="no NaN"):
        pareto_k([0.0, np.nan])


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_stats.base.array", None)
    with pytest.raises(ImportError, match=r"anabranch\[diagnostics\]"):
        pareto_k([0.0, 1.0])
