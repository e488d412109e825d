"""The start of a table with categories or missing cells: Gaussians times categories, by EM."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianStart,
    StartOptions,
    covariance_models,
    is_small,
)
from anabranch.algorithms.mixed_gaussians import (
    MixedParameters,
    MixedRows,
    mixed_em,
    mixed_m_step,
)

Array = NDArray[np.float64]
# How many ways to estimate covariances are followed to their end, of those that lead at first.
FOLLOWED = 3
STEPS = 60
FOLDS = 5
# Nats per column below the median at which the score of a row stops falling.
FARTHEST = 30.0


@dataclass(frozen=True)
class MixedStart:
    """A mixture of Gaussians times categories to start from.

    Attributes:
        name: of the responsibilities that it came from.
        parameters: the mixture.
        score: mean log-density of held-out rows, in nats.
        responsibilities: (n, K) of the training rows.
    """

    name: str
    parameters: MixedParameters
    score: float
    responsibilities: Array

    @property
    def gaussian(self) -> GaussianStart:
        """The Gaussians alone."""
        return GaussianStart(self.name, self.parameters.gaussian, self.score)


def expected_reals(rows: MixedRows) -> Array:
    """The real columns, a missing cell at what one Gaussian of all rows expects, (n, D).

    What distances between rows are told from. Rows that lack nothing are as they are.
    """
    reals = rows.X[:, : rows.n_real]
    if not np.isnan(reals).any():
        return reals
    one = MixedRows(reals, (), None, rows.weights)
    fit = mixed_em(one, np.ones((len(reals), 1)), CovarianceModel(1e-3), max_iter=30)
    return fit.parameters.expected(reals)


def mixed_start(
    name: str, rows: MixedRows, V: MixedRows, responsibilities: Array, options: StartOptions
) -> MixedStart:
    """The best mixture by EM from responsibilities, over ways to estimate covariances.

    All are tried for one step; those that lead on validation rows are followed to their end.

    Args:
        name: of the start.
        rows: training rows.
        V: validation rows, coded alike, with what they count.
        responsibilities: (n, K).
        options: which covariances are tried.

    Raises:
        ValueError: where no mixture can be fitted.
    """
    models = covariance_models(rows.X[:, : max(1, rows.n_real)], options)
    small = is_small(len(rows.X), responsibilities.shape[1], max(1, rows.n_real))
    first = sorted(
        _scores(rows, V, responsibilities, models, small), key=lambda pair: pair[0], reverse=True
    )
    best = None
    for _, model in first[:FOLLOWED]:
        try:
            fit = mixed_em(rows, responsibilities, model, max_iter=STEPS)
            R = fit.parameters.responsibilities(rows.X)
        except np.linalg.LinAlgError:
            continue
        if rows.known is not None:
            R = np.where(rows.known.any(axis=1, keepdims=True), rows.known, R)
        score = _score(rows, V, R, model, fit.parameters, small=small)
        if np.isfinite(score) and (best is None or score > best.score):
            best = MixedStart(name, fit.parameters, score, R)
    if best is None:
        raise ValueError(
            f"no Gaussian mixture could be fitted to {len(rows.X)} rows of {rows.n_real} real "
            "columns; raise reg_covar"
        )
    return best


def _scores(
    rows: MixedRows, V: MixedRows, R: Array, models: list[CovarianceModel], small: bool
) -> Iterator[tuple[float, CovarianceModel]]:
    """What one step gives of each way to estimate covariances, with its score."""
    for model in models:
        try:
            parameters = mixed_m_step(rows, R, model)
            score = _score(rows, V, R, model, parameters, small=small)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(score):
            yield score, model


def _score(
    rows: MixedRows,
    V: MixedRows,
    R: Array,
    model: CovarianceModel,
    parameters: MixedParameters,
    *,
    small: bool,
) -> float:
    """Mean log-density of validation rows; of small tables, all rows have a say.

    Each is then judged by a mixture of the other folds, but no row decides everything.
    """
    score = float(np.average(parameters.log_prob(V.X), weights=V.weights))
    if not small:
        return score
    fold, others = np.arange(len(rows.X)) % FOLDS, np.zeros(len(rows.X))
    for number in range(min(FOLDS, len(rows.X))):
        out = fold == number
        mass = None if rows.weights is None else rows.weights[~out]
        part = MixedRows(rows.X[~out], rows.levels, None, mass)
        others[out] = mixed_m_step(part, R[~out], model, parameters).log_prob(rows.X[out])
    least = np.median(others) - FARTHEST * rows.X.shape[1]
    return 0.5 * (score + float(np.average(np.maximum(others, least), weights=rows.weights)))
