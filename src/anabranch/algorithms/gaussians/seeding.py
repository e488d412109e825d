"""Where expectation maximisation of a Gaussian mixture begins, and scikit-learn's covariances."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    StartOptions,
    kmeans_responsibilities,
)

Array = NDArray[np.float64]


def broad_start(
    X: Array, n_components: int, model: CovarianceModel, random_state: np.random.RandomState
) -> GaussianParameters:
    r"""K rows at random, each with a tenth of the variances: where annihilation begins.

    Source: Figueiredo, Jain (2002), IEEE TPAMI 24, section 6.1.

    Example:
        >>> X = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
        >>> start = broad_start(X, 3, CovarianceModel(0.0), np.random.RandomState(0))
        >>> start.covariances[0]
        array([[0.1, 0. ],
               [0. , 0.1]])
    """
    means = X[random_state.choice(len(X), n_components, replace=False)]
    weights = np.full(n_components, 1 / n_components)
    scatter = np.tile(np.diag(X.var(axis=0) / 10), (n_components, 1, 1))
    return GaussianParameters(
        weights, means, model.covariances(scatter, weights), model.is_diagonal
    )


def assignments(
    Z: Array,
    targets: Array | None,
    n_components: int,
    init_params: str,
    random_state: np.random.RandomState,
    weights: Array | None = None,
) -> Array:
    """Rows assigned to components, (N, K); labelled rows to their classes.

    Source: Basu, Banerjee, Mooney (2002), "Semi-supervised clustering by seeding", ICML 19.

    Args:
        Z: (N, D).
        targets: (N, K) labels, rows of zeros where unknown, or None.
        n_components: K.
        init_params: "kmeans" moves the centres to the means of what they own; "k-means++" draws
            those of unlabelled classes far from each other, "random_from_data" anywhere; "random"
            draws responsibilities, uniform ones that are made to sum to one.
        random_state: source of randomness.
        weights: (N,) what each row counts; None for one.

    Example:
        >>> Z = np.array([[0.0], [0.1], [9.0], [9.1]])
        >>> targets = np.array([[0, 0], [0, 0], [1, 0], [0, 0]])
        >>> assignments(Z, targets, 2, "kmeans", np.random.RandomState(0)).argmax(1)
        array([1, 1, 0, 0])
    """
    if targets is None and init_params == "kmeans":
        options = StartOptions(n_components)
        return kmeans_responsibilities(Z, np.arange(len(Z)), options, random_state, weights)
    if targets is None:
        targets = np.zeros((len(Z), n_components))
    if init_params == "random":
        drawn = random_state.uniform(size=(len(Z), n_components))
        drawn /= drawn.sum(1, keepdims=True)
        return np.where(targets.any(axis=1, keepdims=True), targets, drawn)
    counts = np.ones(len(Z)) if weights is None else weights
    centres = _centres(Z, targets, counts, random_state, far=init_params != "random_from_data")
    if init_params == "kmeans":
        means = KMeans(n_components, init=centres, n_init=1)  # pyright: ignore
        centres = means.fit(Z, sample_weight=weights).cluster_centers_
    assigned = np.eye(n_components)[cdist(Z, centres).argmin(1)]
    return np.where(targets.any(axis=1, keepdims=True), targets, assigned)


def _centres(
    Z: Array, targets: Array, counts: Array, random_state: np.random.RandomState, *, far: bool
) -> Array:
    """Means of the labelled classes, and rows drawn for the others, (K, D)."""
    labelled, targets = targets.sum(0) > 0, targets * counts[:, None]
    centres = np.empty((targets.shape[1], Z.shape[1]))
    centres[labelled] = (targets.T @ Z)[labelled] / targets.sum(0)[labelled, None]
    done = np.array(labelled)
    for k in np.flatnonzero(~labelled):
        weights = counts
        if done.any():
            distances = cdist(Z, centres[done], "sqeuclidean").min(1)
            weights = counts * (distances if far else distances > 0)
        # where every row is a centre already, any will do
        share = weights / weights.sum() if weights.any() else None
        centres[k] = Z[random_state.choice(len(Z), p=share)]
        done[k] = True
    return centres


def expanded(values: Array, kind: str, n_components: int, n_features: int) -> Array:
    """Covariances or precisions of that type as matrices, (K, D, D).

    Example:
        >>> expanded(np.array([2.0]), "spherical", 1, 2)
        array([[[2., 0.],
                [0., 2.]]])
    """
    identity = np.eye(n_features)
    if kind == "tied":
        return np.tile(values, (n_components, 1, 1))
    if kind == "diag":
        return values[:, :, None] * identity
    return values[:, None, None] * identity if kind == "spherical" else values.copy()


def reduced(covariances: Array, kind: str) -> Array:
    """Covariance matrices (K, D, D) in scikit-learn's shape for that type.

    Example:
        >>> reduced(np.array([[[2.0, 0.0], [0.0, 2.0]]]), "spherical")
        array([2.])
    """
    if kind == "tied":
        return covariances[0].copy()
    if kind == "full":
        return covariances
    diagonals = np.diagonal(covariances, axis1=1, axis2=2)
    return diagonals[:, 0].copy() if kind == "spherical" else diagonals.copy()
