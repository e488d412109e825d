"""A mixture of Gaussians times categories of a table: starts and EM."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import CovarianceModel
from anabranch.algorithms.mixed_gaussians import MixedFit, MixedRows, mixed_em
from anabranch.procedures.table_starts import expected_reals

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EMOptions:
    """How EM runs.

    Attributes:
        model: how covariances are estimated, of standardised columns.
        max_iter: most steps.
        tol: smallest gain in nats per row to go on.
        n_init: starts; the one with the highest objective is kept.
    """

    model: CovarianceModel
    max_iter: int
    tol: float
    n_init: int


def fit_mixed_gaussians(
    rows: MixedRows,
    n_components: int,
    options: EMOptions,
    assign: Callable[[Array], Array],
) -> MixedFit:
    """The best of several runs of EM.

    Args:
        rows: standardised real columns, and codes.
        n_components: K.
        options: how EM runs.
        assign: responsibilities (n, K) to begin with, of what distances are told from, (n, D).

    Raises:
        numpy.linalg.LinAlgError: where a covariance is singular.
    """
    seen = expected_reals(rows) if rows.n_real else one_hot(rows.X, rows.levels)
    best = None
    for _ in range(options.n_init):
        start = assign(seen)
        fit = mixed_em(rows, start, options.model, max_iter=options.max_iter, tol=options.tol)
        if best is None or fit.objectives[-1] > best.objectives[-1]:
            best = fit
    if best is None:
        raise ValueError(f"n_init must be at least 1, got {options.n_init}")
    return best


def one_hot(codes: Array, levels: Sequence[int]) -> Array:
    """Codes as indicators side by side, zeros where missing, (n, sum of levels).

    Example:
        >>> one_hot(np.array([[1.0, np.nan]]), [2, 2])
        array([[0., 1., 0., 0.]])
    """
    return np.concatenate(
        [code[:, None] == np.arange(size) for code, size in zip(codes.T, levels, strict=True)],
        axis=1,
    ).astype(np.float64)
