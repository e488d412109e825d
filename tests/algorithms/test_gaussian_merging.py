"""Merging the components of a Gaussian mixture."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from anabranch.algorithms.gaussians import CovarianceModel, gaussian_m_step, merge_components
from anabranch.algorithms.gaussians.merging import _costs

MODEL = CovarianceModel(reg_covar=1e-6)


def long_clusters(seed, n=300):
    """Three parallel strips, thirty times as long as they are wide."""
    random = np.random.RandomState(seed)
    labels = np.repeat(np.arange(3), n)
    X = random.normal(0, [3.0, 0.1], (3 * n, 2)) + labels[:, None] * [0.0, 1.0]
    return X, labels


def pieces(X, n, seed=0):
    centres = X[np.random.RandomState(seed).permutation(len(X))[:n]]
    return np.eye(n)[((X[:, None] - centres) ** 2).sum(-1).argmin(1)]


@pytest.mark.parametrize("seed", range(5))
def test_long_clusters_are_put_together_again(seed):
    X, labels = long_clusters(seed)
    mixture = merge_components(X, pieces(X, 15, seed), 3, MODEL)
    R = mixture.responsibilities(X)
    counts = np.array([R[labels == k].sum(0) for k in range(3)])
    assert counts.max(1).sum() > 0.99 * len(X)
    np.testing.assert_allclose(np.sort(mixture.means[:, 1]), [0, 1, 2], atol=0.05)


def test_a_cost_is_that_of_describing_two_as_one():
    X, _ = long_clusters(0, n=50)
    R = pieces(X, 4)
    costs = _costs(X, R, MODEL)
    for i, j in [(0, 1), (1, 3)]:
        apart = gaussian_m_step(X, R, MODEL)
        together = gaussian_m_step(X, (R[:, i] + R[:, j])[:, None], MODEL)

        def log_prob(mixture, k, rows):
            return multivariate_normal(mixture.means[k], mixture.covariances[k]).logpdf(X[rows])

        first, second = (R[:, k] == 1 for k in (i, j))
        loss = log_prob(apart, i, first).sum() + log_prob(apart, j, second).sum()
        loss -= log_prob(together, 0, first | second).sum()
        # half of the cost is the loss of likelihood, with rows assigned as they are
        np.testing.assert_allclose(costs[i, j] / 2, loss, rtol=1e-3)
    assert np.isinf(costs[np.tril_indices(4)]).all()


def test_components_without_rows_do_not_count():
    X, labels = long_clusters(1)
    R = np.concatenate([np.eye(3)[labels], np.zeros((len(X), 4))], axis=1)
    mixture = merge_components(X, R, 3, MODEL)
    np.testing.assert_allclose(mixture.weights, 1 / 3, atol=1e-3)


def test_fewer_than_wanted_are_refused():
    X, labels = long_clusters(0)
    with pytest.raises(ValueError, match="3 components, fewer than the 4 wanted"):
        merge_components(X, np.eye(3)[labels], 4, MODEL)
