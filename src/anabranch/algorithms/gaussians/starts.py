"""Starts: the Gaussian mixture that a flow mixture is before its first step."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from anabranch.algorithms.gaussians.em import (
    CovarianceModel,
    GaussianParameters,
    gaussian_em,
    gaussian_m_step,
    held_out_log_prob,
)

Array = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
SHRINKAGE = tuple(product((0.0, 0.1, 0.3, 0.6), (0.0, 0.3, 0.6)))  # to_diagonal, to_tied


# Nats per feature below the median at which the score of a row stops falling.
FARTHEST = 30.0


@dataclass(frozen=True)
class GaussianStart:
    """A start by name, with its score on validation rows.

    Attributes:
        name: how it was made, such as "kmeans" or "em/full".
        parameters: the Gaussian mixture.
        score: mean log-density of held-out rows, in nats.
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
        max_graph: rows that a neighbourhood graph is made of.
    """

    n_components: int
    covariance_type: str = "auto"
    reg_covar: float = 1e-6
    max_rows: int = 20_000
    max_full: int = 128
    n_principal: int = 50
    max_graph: int = 2000


@dataclass(frozen=True)
class RowWeights:
    """What each row counts, as if it were there so many times.

    Attributes:
        training: (N,) of the rows that are fitted.
        validation: of those that judge.
    """

    training: Array
    validation: Array

    def of(self, rows: NDArray[np.int64]) -> "RowWeights":
        """Of some of the rows that are fitted, and of all that judge."""
        return RowWeights(self.training[rows], self.validation)


def kmeans_responsibilities(
    X: Array,
    rows: NDArray[np.int64],
    options: StartOptions,
    random_state: np.random.RandomState,
    weights: Array | None = None,
) -> Array:
    """One-hot assignments by k-means, in the leading principal components if many, (N, K).

    Args:
        X: (N, D), all to be assigned.
        rows: numbers of the rows that the centres are found on.
        options: K, and the number of principal components.
        random_state: source of randomness.
        weights: (N,) what each row counts; None for one.

    Example:
        >>> X = np.array([[0.0], [0.1], [9.0], [9.1]])
        >>> R = kmeans_responsibilities(X, np.arange(4), StartOptions(2), np.random.RandomState(0))
        >>> bool((R[0] == R[1]).all() and (R[0] != R[2]).all())
        True
    """
    X = leading_components(X, rows, options, random_state)
    k_means = KMeans(options.n_components, n_init=4, random_state=random_state)  # pyright: ignore
    with warnings.catch_warnings():
        # duplicated rows can leave fewer distinct points than clusters; such clusters stay empty
        warnings.simplefilter("ignore", ConvergenceWarning)
        some = None if weights is None else weights[rows]
        labels = k_means.fit(X[rows], sample_weight=some).predict(X)
    return np.eye(options.n_components)[labels]


def leading_components(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> Array:
    """X itself, or its leading principal components where it has many columns; as for k-means."""
    if X.shape[1] <= options.n_principal or len(rows) <= options.n_principal:
        return X
    pca = PCA(options.n_principal, random_state=random_state, svd_solver="randomized")
    return pca.fit(X[rows]).transform(X)


def random_responsibilities(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> Array:
    """Rows assigned to the nearest of K rows drawn at random, (N, K); arguments as for k-means."""
    centres = X[random_state.choice(rows, options.n_components, replace=False)]
    distances = (X**2).sum(1)[:, None] - 2 * X @ centres.T + (centres**2).sum(1)
    return np.eye(options.n_components)[distances.argmin(1)]


def hard_start(
    name: str,
    X: Array,
    V: Array,
    R: Array,
    options: StartOptions,
    weights: RowWeights | None = None,
) -> GaussianStart:
    """One maximisation step from given assignments: the mixture that k-means implies.

    Args:
        name: of the start.
        X: (N, D) training rows.
        V: validation rows.
        R: (N, K) assignments.
        options: which covariances are tried.
        weights: what rows count; None for one each.
    """
    judge = _Judge(X, V, options, weights)
    return _best((judge.scored(name, R, model) for model in covariance_models(X, options)), X)


def covariance_models(X: Array, options: StartOptions) -> list[CovarianceModel]:
    """The ways to estimate covariances that are worth a try on so many rows and columns."""
    return [*_types(X, options).values(), *_shrunk(X, options)]


def em_start(
    X: Array,
    V: Array,
    R: Array,
    options: StartOptions,
    random_state: np.random.RandomState,
    weights: RowWeights | None = None,
) -> GaussianStart:
    """The best Gaussian mixture by EM over covariance types, regularisation and shrinkage.

    The types are fitted by scikit-learn, or from R where rows have weights, which it does not take;
    shrunk covariances start from the best of them and from R.
    """
    return _best(_em_starts(_Judge(X, V, options, weights), R, random_state), X)


def _em_starts(
    judge: "_Judge", R: Array, random_state: np.random.RandomState
) -> Iterator[GaussianStart | None]:
    X, options, counts, best = judge.X, judge.options, judge.counts, None
    for (kind, _), model in _types(X, options).items():
        if counts is None:
            fitted = _sklearn_responsibilities(X, options.n_components, kind, model, random_state)
        else:
            fitted = _em_responsibilities(X, R, model, counts)
        if fitted is not None:
            best = _better(best, judge.scored(f"em/{kind}", fitted, model))
    yield best
    sources = [R] if best is None else [best.parameters.responsibilities(X), R]
    for source, model in product(sources, _shrunk(X, options)):
        try:
            parameters = gaussian_em(X, source, model, max_iter=15, weights=counts)
        except np.linalg.LinAlgError:
            continue
        yield judge.scored("em/shrunk", parameters.responsibilities(X), model)


def _em_responsibilities(
    X: Array, R: Array, model: CovarianceModel, weights: Array
) -> Array | None:
    """Responsibilities of EM with weights; None where it finds no valid covariance."""
    try:
        mixture = gaussian_em(X, R, model, max_iter=100, weights=weights)
        return mixture.responsibilities(X)
    except np.linalg.LinAlgError:
        return None


def _sklearn_responsibilities(
    X: Array,
    n_components: int,
    kind: str,
    model: CovarianceModel,
    random_state: np.random.RandomState,
) -> Array | None:
    """Responsibilities of scikit-learn's mixture; None where it finds no valid covariance."""
    mixture = GaussianMixture(
        n_components, covariance_type=kind, reg_covar=model.reg_covar, random_state=random_state
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # not converged is no fault of a start
        try:
            return np.asarray(mixture.fit(X).predict_proba(X))
        except ValueError:
            return None


def _types(X: Array, options: StartOptions) -> dict[tuple[str, float], CovarianceModel]:
    """The covariance types of scikit-learn, with the regularisations worth trying."""
    types = {
        "full": {},
        "tied": {"to_tied": 1.0},
        "diag": {"to_diagonal": 1.0},
        "spherical": {"spherical": True},
    }
    wide = X.shape[1] > options.max_full
    kinds = ("diag", "spherical") if wide else COVARIANCE_TYPES
    if options.covariance_type != "auto":
        kinds = (options.covariance_type,)
    return {
        (kind, reg_covar): CovarianceModel(reg_covar, **types[kind])
        for kind, reg_covar in product(kinds, _regs(X, options))
    }


def _shrunk(X: Array, options: StartOptions) -> list[CovarianceModel]:
    """Covariances between the types: many for small tables, none where rows abound."""
    if options.covariance_type != "auto":
        return []
    if X.shape[1] > options.max_full:
        return [CovarianceModel(r, 1.0, 0.3) for r in _regs(X, options)]
    if not _is_small(X, options):
        return []
    return [CovarianceModel(r, d, t) for (d, t), r in product(SHRINKAGE, _regs(X, options))]


def _regs(X: Array, options: StartOptions) -> tuple[float, ...]:
    """Few rows can make any thin direction look certain: there, only larger values are tried."""
    if options.covariance_type != "auto":
        return (options.reg_covar,)
    tried = (1e-3, 1e-2) if _is_small(X, options) else (1e-6, 1e-3)
    return tuple(sorted({max(options.reg_covar, r) for r in tried}))


def _is_small(X: Array, options: StartOptions) -> bool:
    return is_small(len(X), options.n_components, X.shape[1])


def is_small(n_rows: int, n_components: int, n_features: int) -> bool:
    """Whether a table is too small to trust unregularised covariances.

    Example:
        >>> is_small(150, 3, 4), is_small(100_000, 10, 10)
        (True, False)
    """
    return n_rows <= 50 * n_components * n_features


@dataclass(frozen=True)
class _Judge:
    """Rows that mixtures are fitted to, and those that score them."""

    X: Array
    V: Array
    options: StartOptions
    weights: RowWeights | None

    @property
    def counts(self) -> Array | None:
        """What each row of X counts, None for one."""
        return None if self.weights is None else self.weights.training

    def scored(self, name: str, R: Array, model: CovarianceModel) -> GaussianStart | None:
        """The mixture of these responsibilities with its score, or None where it has none."""
        X, weights = self.X, self.weights
        counted = R if weights is None else weights.training[:, None] * R
        try:
            parameters = gaussian_m_step(X, counted, model)
            by = None if weights is None else weights.validation
            score = float(np.average(parameters.log_prob(self.V), weights=by))
            if _is_small(X, self.options):
                # few validation rows: let all rows have a say, each judged by the others
                others = held_out_log_prob(X, counted, model)
                # but a row that stands alone must not decide everything
                others = np.maximum(others, np.median(others) - FARTHEST * X.shape[1])
                score = 0.5 * (score + float(np.average(others, weights=self.counts)))
        except np.linalg.LinAlgError:
            return None
        return GaussianStart(name, parameters, score) if np.isfinite(score) else None


def _better(best: GaussianStart | None, new: GaussianStart | None) -> GaussianStart | None:
    if new is None:
        return best
    return new if best is None or new.score > best.score else best


def _best(starts: Iterable[GaussianStart | None], X: Array) -> GaussianStart:
    best = None
    for start in starts:
        best = _better(best, start)
    if best is None:
        raise ValueError(
            f"no Gaussian mixture could be fitted to {len(X)} rows of {X.shape[1]} columns; "
            "raise reg_covar"
        )
    return best
