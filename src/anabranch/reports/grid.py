"""A mixture evaluated on a grid over the data, for pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from anabranch.reports.protocol import FittedDensity, FittedMixture, unnamed_columns

# Rows of context that the density on a grid is averaged over.
GRID_CONTEXTS = 20


@dataclass(frozen=True)
class Grid:
    """Posterior and log-density on a regular grid of one or two axes.

    Attributes:
        axes: The coordinates along each axis, D arrays of shape (g,).
        posterior: p(c|x), shape (g, K), or (g, g, K) with the second axis of x first.
        log_density: log p(x) in nats, shape (g,) or (g, g).
    """

    axes: tuple[np.ndarray, ...]
    posterior: np.ndarray
    log_density: np.ndarray


def window(values: np.ndarray, margin: float = 0.08) -> tuple[float, float]:
    """Give the range of `values` with a margin on both sides; never of width zero.

    A few far outliers would squeeze all else into a corner: the range ends one width of the
    central 99.6 % beyond these.

    >>> window(np.array([0.0, 1.0]), margin=0.5)
    (-0.5, 1.5)
    >>> window(np.append(np.linspace(0, 1, 1000), 1e6))[1] < 2.1
    True
    """
    low, high = float(values.min()), float(values.max())
    width = high - low
    pad = margin * width if width > 0 else max(1.0, 1e-3 * abs(low))
    central_low, central_high = np.quantile(values, [0.002, 0.998]).tolist()
    reach = central_high - central_low
    if reach > 0:
        return max(low - pad, central_low - reach), min(high + pad, central_high + reach)
    return low - pad, high + pad


def evaluate_grid(est: FittedMixture, X: np.ndarray, size: int = 160) -> Grid:
    """Evaluate a mixture on a grid over the range of one- or two-dimensional data.

    Args:
        est: Fitted mixture of D = 1 or 2 columns.
        X: Data that sets the range, shape (n, D).
        size: Number of points g along each axis.

    Returns:
        The exact posterior and the log-density in nats on the grid.
    """
    axes = tuple(np.linspace(*window(column), size) for column in X.T)
    points = np.stack([m.ravel() for m in np.meshgrid(*axes)], axis=1)
    with unnamed_columns():
        posterior = np.asarray(est.predict_proba(points, method="exact"), dtype=float)
        log_density = np.asarray(est.score_samples(points), dtype=float)
    shape = (size,) * len(axes)
    return Grid(axes, posterior.reshape(*shape, -1), log_density.reshape(shape))


def density_grid(
    est: FittedDensity, X: np.ndarray, context: np.ndarray | None, size: int = 160
) -> Grid:
    """Evaluate a density without clusters on a grid over one- or two-dimensional data.

    Points outside the support of a column have density zero. A conditional density is averaged
    over some rows of context, evenly spread over the table.

    Args:
        est: Fitted density of D = 1 or 2 columns.
        X: Data that sets the range, shape (n, D).
        context: Of the same rows, shape (n, C), or None.
        size: Number of points g along each axis.

    Returns:
        The log-density in nats on the grid, and a posterior of one component.
    """
    axes = tuple(_within(est, j, window(column), size) for j, column in enumerate(X.T))
    points = np.stack([m.ravel() for m in np.meshgrid(*axes)], axis=1)
    shape = (size,) * len(axes)
    with unnamed_columns():
        if context is None:
            log_density = np.asarray(est.score_samples(points), dtype=float)
        else:
            rows = np.linspace(0, len(X) - 1, min(len(X), GRID_CONTEXTS), dtype=int)
            each = [
                est.score_samples(points, context=np.tile(context[row], (len(points), 1)))
                for row in rows
            ]
            log_density = np.logaddexp.reduce(each, axis=0) - np.log(len(rows))
    return Grid(axes, np.ones((*shape, 1)), log_density.reshape(shape))


def _within(est: Any, column: int, ends: tuple[float, float], size: int) -> np.ndarray:
    """An axis that keeps within the support of its column, where the density has one."""
    bounds = getattr(est, "bounds_", None)
    if bounds is None:
        return np.linspace(*ends, size)
    lower, upper = bounds.range_of(column)
    axis = np.linspace(max(ends[0], lower), min(ends[1], upper), size + 2)
    inner = axis[1:-1]
    return np.linspace(inner[0], inner[-1], size)
