"""Overlap and calibration of models whose truth is known."""

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats import kstest, norm

from anabranch.metrics import (
    bayes_error,
    connections,
    coverage,
    density_silhouette,
    largest_deviation,
    overlaps,
    transform_by_draws,
)

RANDOM = np.random.RandomState(0)


def test_the_error_of_two_gaussians():
    apart = 2.0
    origins = RANDOM.randint(0, 2, 200_000)
    x = RANDOM.randn(len(origins)) + apart * origins
    first = 1 / (1 + np.exp(apart * x - apart**2 / 2))
    posterior = np.c_[first, 1 - first]
    assert bayes_error(posterior) == pytest.approx(norm.cdf(-apart / 2), abs=3e-3)
    found = overlaps(posterior, origins)
    assert found.sum(1) == pytest.approx([1, 1])
    assert found[0, 1] == pytest.approx(found[1, 0], abs=5e-3)
    assert np.isnan(overlaps(posterior[:1], np.array([0]))[1]).all()
    with pytest.raises(ValueError, match="at least one row"):
        bayes_error(np.empty((0, 2)))


def test_the_best_way_is_that_of_the_spanning_tree():
    weights = RANDOM.rand(12, 12)
    weights = np.maximum(weights, weights.T)
    best = connections(weights)
    tree = minimum_spanning_tree(1 - weights).toarray()  # zero: no edge
    reach = np.where(tree > 0, 1 - tree, -np.inf)
    reach = np.maximum(reach, reach.T)
    np.fill_diagonal(reach, np.inf)
    for k in range(12):  # Floyd and Warshall's, of worst edges
        reach = np.maximum(reach, np.minimum(reach[:, [k]], reach[[k]]))
    assert best == pytest.approx(reach)
    apart = np.where(np.add.outer(np.arange(4) < 2, np.arange(4) < 2) == 1, -np.inf, 1.0)
    assert connections(apart)[0, 2] == -np.inf


def test_silhouettes_are_leads():
    logs = np.log([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [1.0, 1e-300, 1e-300]])
    found = density_silhouette(logs)
    assert found[2] == 1
    assert found[0] == pytest.approx(np.log(5 / 3) / 30)
    assert density_silhouette(np.array([[0.0, -np.inf]])) == 1


def test_transforms_are_uniform_under_the_model():
    X = np.c_[RANDOM.randn(3000), RANDOM.poisson(2, 3000)]
    draws = np.c_[RANDOM.randn(20_000), RANDOM.poisson(2, 20_000)]
    u = transform_by_draws(X, draws, RANDOM)
    assert min(kstest(column, "uniform").pvalue for column in u.T) > 0.01
    assert largest_deviation(u[:, 0]) == pytest.approx(kstest(u[:, 0], "uniform").statistic)
    wide = transform_by_draws(2 * X, draws, RANDOM)
    assert largest_deviation(wide[:, 0]) > 0.1
    X[0, 0] = np.nan
    assert np.isnan(transform_by_draws(X, draws, RANDOM)[0, 0])
    with pytest.raises(ValueError, match=r"draws must be \(m, 2\)"):
        transform_by_draws(X, draws[:, :1], RANDOM)


def test_regions_hold_what_they_say():
    assert coverage(RANDOM.rand(50_000), np.array([0.5, 0.9])) == pytest.approx(
        [0.5, 0.9], abs=0.01
    )
