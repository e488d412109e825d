"""What every comparison stands beside: k-means and scikit-learn's GaussianMixture."""

import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

Array = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


def kmeans(X: Array, n_clusters: int, seed: int) -> KMeans:
    """k-means, best of ten starts.

    Example:
        >>> kmeans(np.array([[0.0], [0.1], [5.0], [5.1]]), 2, 0).inertia_ < 0.02
        True
    """
    return KMeans(n_clusters, n_init=10, random_state=seed).fit(X)  # pyright: ignore


def best_gaussian_mixture(
    train: Array,
    validation: Array,
    n_components: Sequence[int],
    seed: int,
    *,
    covariance_types: Sequence[str] = COVARIANCE_TYPES,
    reg_covars: Sequence[float] = (1e-3,),
    max_iter: int = 200,
) -> GaussianMixture:
    """The Gaussian mixture with the highest mean log-density on validation rows."""
    best: Any = None
    best_score = -np.inf
    for k, kind, reg_covar in product(n_components, covariance_types, reg_covars):
        if k > len(train):
            continue
        model = GaussianMixture(
            k, covariance_type=kind, reg_covar=reg_covar, random_state=seed, max_iter=max_iter
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                score = float(model.fit(train).score(validation))
            except ValueError:  # a covariance that is not positive definite
                continue
        if score > best_score:
            best, best_score = model, score
    return best


def standardized(*parts: Array) -> list[Array]:
    """Parts of a table, standardised by the first; columns constant there are left out of all.

    Example:
        >>> a, b = standardized(np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[4.0, 1.0]]))
        >>> a.ravel(), b.ravel()
        (array([-1.,  1.]), array([3.]))
    """
    first = parts[0]
    varies = np.ptp(first, axis=0) > 1e-9 * np.abs(first).max(axis=0)
    loc, scale = first[:, varies].mean(0), first[:, varies].std(0)
    return [(part[:, varies] - loc) / scale for part in parts]
