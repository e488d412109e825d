"""Gaussian mixtures from too many components, merged two at a time."""

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians.em import CovarianceModel, GaussianParameters, gaussian_em

Array = NDArray[np.float64]

# Rows below which a component is left out, and iterations between two merges.
FEWEST, BETWEEN = 1.0, 5


def merge_components(
    X: Array,
    responsibilities: Array,
    n_components: int,
    model: CovarianceModel,
    *,
    max_iter: int = 200,
    tol: float = 1e-4,
) -> GaussianParameters:
    r"""EM from many components down to K, the two that are best described as one at a time.

    .. math:: B_{ij} = (\pi_i + \pi_j) \log|\Sigma_{ij}| - \pi_i \log|\Sigma_i|
        - \pi_j \log|\Sigma_j|

    with the covariance :math:`\Sigma_{ij}` of both together; half of it bounds the divergence
    from the mixture before to that after. Small components follow clusters of any length, which
    centres chosen at random, or by k-means, cut in pieces.

    Source: Runnalls (2007), "Kullback-Leibler approach to Gaussian mixture reduction", IEEE
    Transactions on Aerospace and Electronic Systems 43.

    Args:
        X: (N, D).
        responsibilities: (N, J) of J >= K components to start from.
        n_components: K.
        model: how covariances are estimated.
        max_iter: iterations at the end, with K components.
        tol: smallest gain of the mean log-likelihood to go on, in nats.

    Raises:
        ValueError: for fewer components than are wanted.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(-5, 1, (100, 1)), rng.normal(5, 1, (100, 1))])
        >>> six = np.eye(6)[np.digitize(X[:, 0], [-6, -5, 0, 5, 6])]
        >>> merge_components(X, six, 2, CovarianceModel(1e-6)).weights.round(2)
        array([0.5, 0.5])
    """
    if responsibilities.shape[1] < n_components:
        raise ValueError(
            f"responsibilities have {responsibilities.shape[1]} components, fewer than the "
            f"{n_components} wanted"
        )
    R = responsibilities
    while R.shape[1] > n_components:
        R = _without_empty(R, n_components)
        if R.shape[1] > n_components:
            R = _merged(R, *np.unravel_index(_costs(X, R, model).argmin(), (R.shape[1],) * 2))
        R = gaussian_em(X, R, model, max_iter=BETWEEN, tol=tol).responsibilities(X)
    return gaussian_em(X, R, model, max_iter=max_iter, tol=tol)


def _costs(X: Array, R: Array, model: CovarianceModel) -> Array:
    """The cost of each pair, (J, J); infinite but above the diagonal."""
    weights = R.sum(0)
    means = R.T @ X / weights[:, None]
    squares = np.stack([(X * r[:, None]).T @ X for r in R.T]) / weights[:, None, None]
    least = max(model.reg_covar, 1e-12) * np.eye(X.shape[1])
    scatter = squares - np.einsum("ki,kj->kij", means, means) + least
    first, second = np.triu_indices(len(weights), 1)
    share = (weights[first] / (weights[first] + weights[second]))[:, None, None]
    apart = means[first] - means[second]
    joint = share * scatter[first] + (1 - share) * scatter[second]
    joint += share * (1 - share) * np.einsum("pi,pj->pij", apart, apart)
    single = weights * np.linalg.slogdet(scatter)[1]
    costs = np.full((len(weights), len(weights)), np.inf)
    both = (weights[first] + weights[second]) * np.linalg.slogdet(joint)[1]
    costs[first, second] = both - single[first] - single[second]
    return costs


def _merged(R: Array, first: np.intp, second: np.intp) -> Array:
    merged = R.copy()
    merged[:, first] += merged[:, second]
    return np.delete(merged, second, axis=1)


def _without_empty(R: Array, n_components: int) -> Array:
    """Responsibilities of the components that own rows, or of the K largest."""
    weights = R.sum(0)
    kept = np.sort(np.argsort(-weights)[: max(n_components, int((weights > FEWEST).sum()))])
    R = R[:, kept]
    return R / R.sum(axis=1, keepdims=True).clip(1e-12)
