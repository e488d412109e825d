"""Starts: the Gaussian mixture that a flow mixture is before its first step."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from anabranch.training.gaussian_em import (
    GaussianParameters,
    gaussian_em,
    gaussian_m_step,
)

Array = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
SHRINKAGE = tuple(product((0.0, 0.1, 0.3, 0.6), (0.0, 0.3, 0.6)))  # to_diagonal, to_tied


@dataclass(frozen=True)
class GaussianStart:
    """A start by name, with its score on validation rows.

    Attributes:
        name: how it was made, such as "kmeans" or "em/full".
        parameters: the Gaussian mixture.
        score: mean log-density of the validation rows, in nats.
    """

    name: str
    parameters: GaussianParameters
    score: float


@dataclass(frozen=True)
class StartOptions:
    """How starts are searched.

    Attributes:
        n_components: K.
        covariance_type: "full", "tied", "diag", "spherical", or "auto" to choose on validation.
        reg_covar: smallest variance added to the diagonals; "auto" covariances try larger ones.
        max_rows: rows the search looks at.
        max_full: most features for which full covariances are estimated.
        n_principal: principal components that k-means sees where there are more features.
    """

    n_components: int
    covariance_type: str = "auto"
    reg_covar: float = 1e-6
    max_rows: int = 20_000
    max_full: int = 128
    n_principal: int = 50


def kmeans_responsibilities(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> Array:
    """One-hot assignments by k-means, in the leading principal components if many, (N, K).

    Args:
        X: (N, D), all to be assigned.
        rows: numbers of the rows that the centres are found on.
        options: K, and the number of principal components.
        random_state: source of randomness.

    Example:
        >>> X = np.array([[0.0], [0.1], [9.0], [9.1]])
        >>> R = kmeans_responsibilities(X, np.arange(4), StartOptions(2), np.random.RandomState(0))
        >>> bool((R[0] == R[1]).all() and (R[0] != R[2]).all())
        True
    """
    if X.shape[1] > options.n_principal and len(rows) > options.n_principal:
        pca = PCA(options.n_principal, random_state=random_state, svd_solver="randomized")
        X = pca.fit(X[rows]).transform(X)
    k_means = KMeans(options.n_components, n_init=4, random_state=random_state)  # pyright: ignore
    with warnings.catch_warnings():
        # duplicated rows can leave fewer distinct points than clusters; such clusters stay empty
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = k_means.fit(X[rows]).predict(X)
    return np.eye(options.n_components)[labels]


def random_responsibilities(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> Array:
    """Rows assigned to the nearest of K rows drawn at random, (N, K); arguments as for k-means."""
    centres = X[random_state.choice(rows, options.n_components, replace=False)]
    distances = (X**2).sum(1)[:, None] - 2 * X @ centres.T + (centres**2).sum(1)
    return np.eye(options.n_components)[distances.argmin(1)]


def hard_start(name: str, X: Array, V: Array, R: Array, options: StartOptions) -> GaussianStart:
    """One maximisation step from given assignments: the mixture that k-means implies."""
    best = None
    for to_diagonal, to_tied, reg_covar in _regularisations(X, options):
        try:
            parameters = gaussian_m_step(
                X, R, reg_covar=reg_covar, to_diagonal=to_diagonal, to_tied=to_tied
            )
            best = _better(best, GaussianStart(name, parameters, _score(parameters, V)))
        except np.linalg.LinAlgError:
            continue
    return _found(best, X)


def em_start(
    X: Array, V: Array, R: Array, options: StartOptions, random_state: np.random.RandomState
) -> GaussianStart:
    """The best Gaussian mixture by EM over covariance types, regularisation and shrinkage.

    The types are scikit-learn's; shrinkage starts from the responsibilities of the best of them.
    """
    best = None
    for kind, reg_covar in product(_types(X, options), _regs(options)):
        with warnings.catch_warnings():
            # not converged is no fault of a start
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                fitted = _sklearn_em(X, options.n_components, kind, reg_covar, random_state)
            except ValueError:  # a covariance that is not positive definite
                continue
        best = _better(best, GaussianStart(f"em/{kind}", fitted, _score(fitted, V)))
    if options.covariance_type != "auto":
        return _found(best, X)
    starts = [R] if best is None else [best.parameters.responsibilities(X), R]
    for start, (to_diagonal, to_tied, reg_covar) in product(starts, _regularisations(X, options)):
        if to_diagonal == to_tied == 0.0 or reg_covar < 1e-3:
            continue
        try:
            fitted = gaussian_em(
                X,
                start,
                reg_covar=reg_covar,
                to_diagonal=to_diagonal,
                to_tied=to_tied,
                max_iter=15,
            )
            best = _better(best, GaussianStart("em/shrunk", fitted, _score(fitted, V)))
        except np.linalg.LinAlgError:
            continue
    return _found(best, X)


def _sklearn_em(
    X: Array, n_components: int, kind: str, reg_covar: float, random_state: np.random.RandomState
) -> GaussianParameters:
    fitted = GaussianMixture(
        n_components, covariance_type=kind, reg_covar=reg_covar, random_state=random_state
    ).fit(X)
    n_features = X.shape[1]
    covariances = np.asarray(fitted.covariances_)
    if kind == "tied":
        covariances = np.broadcast_to(covariances, (n_components, n_features, n_features))
    elif kind == "diag":
        covariances = covariances[:, :, None] * np.eye(n_features)
    elif kind == "spherical":
        covariances = covariances[:, None, None] * np.eye(n_features)
    return GaussianParameters(
        np.asarray(fitted.weights_), np.asarray(fitted.means_), np.array(covariances)
    )


def _types(X: Array, options: StartOptions) -> tuple[str, ...]:
    if options.covariance_type != "auto":
        return (options.covariance_type,)
    return COVARIANCE_TYPES if X.shape[1] <= options.max_full else ("diag", "spherical")


def _regs(options: StartOptions) -> tuple[float, ...]:
    if options.covariance_type != "auto":
        return (options.reg_covar,)
    return tuple(sorted({max(options.reg_covar, r) for r in (1e-6, 1e-3, 1e-2)}))


def _regularisations(X: Array, options: StartOptions) -> Iterator[tuple[float, float, float]]:
    """Shrinkages and regularisations worth trying: all for small tables, few for large ones."""
    fixed = {"full": (0.0, 0.0), "tied": (0.0, 1.0), "diag": (1.0, 0.0), "spherical": (1.0, 0.0)}
    if options.covariance_type != "auto":
        yield (*fixed[options.covariance_type], options.reg_covar)
    elif X.shape[1] > options.max_full:
        yield from ((1.0, to_tied, r) for to_tied in (0.0, 0.3) for r in _regs(options))
    elif len(X) > 50 * options.n_components * X.shape[1]:
        yield from ((0.0, 0.0, r) for r in _regs(options))
    else:
        yield from ((d, t, r) for d, t in SHRINKAGE for r in _regs(options))


def _score(parameters: GaussianParameters, V: Array) -> float:
    return float(parameters.log_prob(V).mean())


def _better(best: GaussianStart | None, new: GaussianStart) -> GaussianStart | None:
    if not np.isfinite(new.score):
        return best
    return new if best is None or new.score > best.score else best


def _found(best: GaussianStart | None, X: Array) -> GaussianStart:
    if best is None:
        raise ValueError(
            f"no Gaussian mixture could be fitted to {len(X)} rows of {X.shape[1]} columns; "
            "raise reg_covar"
        )
    return best
