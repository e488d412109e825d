"""Expectation maximisation for Gaussians times categories, with missing cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import CovarianceModel, GaussianParameters
from anabranch.algorithms.mixed_gaussians.parameters import MixedParameters
from anabranch.algorithms.mixed_gaussians.patterns import Patterns

Array = NDArray[np.float64]
# Rows at the marginal frequencies of a column that are added to the categories of each component.
PSEUDO_ROWS = 2.0


@dataclass(frozen=True)
class MixedRows:
    """Rows that a mixture is fitted to.

    Attributes:
        X: (n, D + C), NaN where a cell is missing.
        levels: how many categories each of the last C columns has.
        known: (n, K) probabilities of labelled rows, rows of zeros elsewhere; or None.
        weights: (n,) what each row counts; None for one.
    """

    X: Array
    levels: Sequence[int] = ()
    known: Array | None = None
    weights: Array | None = None

    @property
    def n_real(self) -> int:
        """D."""
        return self.X.shape[1] - len(self.levels)

    @property
    def mass(self) -> Array:
        """What each row counts, (n,)."""
        return np.ones(len(self.X)) if self.weights is None else self.weights


@dataclass(frozen=True)
class MixedFit:
    """What EM came to.

    Attributes:
        parameters: the mixture.
        objectives: mean log-density before each step, in nats per row; a labelled row counts with
            log p(x, c).
        converged: whether the gain fell below the tolerance.
    """

    parameters: MixedParameters
    objectives: list[float]
    converged: bool


def mixed_em(
    rows: MixedRows,
    responsibilities: Array,
    model: CovarianceModel,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
) -> MixedFit:
    r"""Alternate both steps from given responsibilities.

    The expectations of missing real cells, and of their squares, given the known ones and the
    component are exact; those of missing categories are of no consequence for the others. Without
    regularisation and pseudo-rows the log-likelihood never falls.

    Args:
        rows: what is fitted.
        responsibilities: (n, K), where to begin.
        model: how covariances are estimated.
        max_iter: most steps.
        tol: smallest gain of the mean log-likelihood, in nats, to go on.

    Raises:
        numpy.linalg.LinAlgError: where a covariance is singular.

    Source: Ghahramani, Jordan (1994), "Supervised learning from incomplete data via an EM
    approach"; Hunt, Jorgensen (2003), "Mixture model clustering for mixed data with missing
    information".

    Example:
        >>> X = np.array([[-5.0, 0], [-4.0, 0], [np.nan, 0], [4.0, 1], [5.0, np.nan]])
        >>> start = np.eye(2)[[0, 0, 0, 1, 1]]
        >>> fit = mixed_em(MixedRows(X, [2]), start, CovarianceModel(1e-3))
        >>> fit.parameters.gaussian.means.round(1)
        array([[-4.5],
               [ 4.5]])
    """
    parameters = mixed_m_step(rows, responsibilities, model)
    objectives: list[float] = []
    last = -np.inf
    for _ in range(max_iter):
        responsibilities, log_prob = mixed_e_step(rows, parameters)
        objectives.append(float(np.average(log_prob, weights=rows.mass)))
        if abs(objectives[-1] - last) < tol:
            return MixedFit(parameters, objectives, True)
        last = objectives[-1]
        parameters = mixed_m_step(rows, responsibilities, model, parameters)
    return MixedFit(parameters, objectives, False)


def mixed_e_step(rows: MixedRows, parameters: MixedParameters) -> tuple[Array, Array]:
    """Responsibilities (n, K), and what each row adds to the objective (n,), in nats."""
    joint = parameters.joint_log_prob(rows.X)
    log_prob = np.logaddexp.reduce(joint, axis=1)
    R = np.exp(joint - log_prob[:, None])
    if rows.known is not None:
        taught = rows.known.any(axis=1)
        R[taught] = rows.known[taught]
        log_prob[taught] = (rows.known[taught] * joint[taught]).sum(1)
    return R, log_prob


def mixed_m_step(
    rows: MixedRows,
    responsibilities: Array,
    model: CovarianceModel,
    before: MixedParameters | None = None,
) -> MixedParameters:
    """The maximisation step; ``before`` is what expects the missing cells, None for one Gaussian.

    Raises:
        numpy.linalg.LinAlgError: where a covariance of ``before`` is singular.
    """
    R = responsibilities * rows.mass[:, None]
    mass = R.sum(0) + 10 * np.finfo(np.float64).eps
    weights = mass / mass.sum()
    means, scatter = _moments(rows.X[:, : rows.n_real], R, mass, before)
    covariances = model.covariances(scatter, weights) if rows.n_real else scatter
    codes = rows.X[:, rows.n_real :]
    factors = tuple(
        category_probabilities(code, size, R, rows.mass)
        for code, size in zip(codes.T, rows.levels, strict=True)
    )
    # not marked as diagonal: the masked inverses are the same for all kinds
    return MixedParameters(GaussianParameters(weights, means, covariances), factors)


def category_probabilities(code: Array, size: int, R: Array, mass: Array) -> Array:
    """Probabilities of the categories of one column in each component, (K, size).

    `PSEUDO_ROWS` rows at the frequencies of the whole column, of which each category has one more,
    keep them from zero: the mode under a Dirichlet prior.

    Example:
        >>> category_probabilities(np.array([0.0, 0.0]), 2, np.ones((2, 1)), np.ones(2))
        array([[0.875, 0.125]])
    """
    known = ~np.isnan(code)
    chosen = np.eye(size)[code[known].astype(np.int64)]
    overall = (mass[known] @ chosen) + 1.0
    counts = R[known].T @ chosen + PSEUDO_ROWS * overall / overall.sum()
    return counts / counts.sum(1, keepdims=True)


def _moments(
    X: Array, R: Array, mass: Array, before: MixedParameters | None
) -> tuple[Array, Array]:
    """Means (K, D) and scatter matrices (K, D, D), missing cells as they are expected."""
    n_components, n_real = R.shape[1], X.shape[1]
    means, scatter = np.zeros((n_components, n_real)), np.zeros((n_components, n_real, n_real))
    if not n_real:
        return means, scatter
    if before is None:
        before = _one_gaussian(X, R.sum(1), n_components)
    patterns = list(Patterns.of(X).parts())
    for c in range(n_components):
        mean, covariance = before.gaussian.means[c], before.gaussian.covariances[c]
        filled, extra = X.copy(), np.zeros((n_real, n_real))
        for rows, part in patterns:
            given = part.given(mean, covariance) if np.isnan(part.X).any() else None
            if given is not None:
                filled[rows] = given.filled
                shares = np.bincount(part.of_row, R[rows, c], len(part.known))
                extra += np.einsum("p,pij->ij", shares, given.covariances)
        means[c] = R[:, c] @ filled / mass[c]
        centred = filled - means[c]
        scatter[c] = ((R[:, c, None] * centred).T @ centred + extra) / mass[c]
    return means, scatter


def _one_gaussian(X: Array, mass: Array, n_components: int) -> MixedParameters:
    """Independent columns, which expect a missing cell at its column's mean; K times the same."""
    known = np.ma.masked_invalid(X)
    means = np.asarray(np.ma.average(known, axis=0, weights=mass))
    variances = np.asarray(np.ma.average((known - means) ** 2, axis=0, weights=mass)) + 1e-12
    gaussian = GaussianParameters(
        np.full(n_components, 1 / n_components),
        np.tile(means, (n_components, 1)),
        np.tile(np.diag(variances), (n_components, 1, 1)),
    )
    return MixedParameters(gaussian)
