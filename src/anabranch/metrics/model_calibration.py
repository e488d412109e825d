"""Whether rows are distributed as draws of a model are."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def transform_by_draws(X: Array, draws: Array, random_state: np.random.RandomState) -> Array:
    r"""The probability integral transform of each column by draws of a model, (n, D), in (0, 1).

    .. math:: u_{ij} = \frac{\#\{s: s_j < x_{ij}\} + V (\#\{s: s_j = x_{ij}\} + 1)}{m + 1}

    with V uniform, so that u is uniform for rows of the model also where values tie, as whole
    numbers do. Missing cells stay missing.

    Args:
        X: (n, D).
        draws: (m, D).
        random_state: of V.

    Raises:
        ValueError: for no draws, or other columns.

    Source: Czado, Gneiting, Held (2009), "Predictive model assessment for count data".

    Example:
        >>> random = np.random.RandomState(0)
        >>> u = transform_by_draws(random.randn(500, 1), random.randn(900, 1), random)
        >>> bool(0.45 < u.mean() < 0.55)
        True
    """
    if draws.ndim != 2 or not len(draws) or draws.shape[1] != X.shape[1]:
        raise ValueError(f"draws must be (m, {X.shape[1]}) with m > 0, got {draws.shape}")
    u = np.full(X.shape, np.nan)
    for j, column in enumerate(X.T):
        known = np.isfinite(column)
        ordered = np.sort(draws[:, j])
        below = np.searchsorted(ordered, column[known], side="left")
        ties = np.searchsorted(ordered, column[known], side="right") - below
        u[known, j] = (below + random_state.uniform(size=known.sum()) * (ties + 1)) / (
            len(ordered) + 1
        )
    return u


def largest_deviation(u: Array) -> float:
    """The largest distance of the shares of values below u from u (Kolmogorov's statistic).

    Missing values are left out; 0 where none is left.

    Example:
        >>> round(largest_deviation(np.array([0.5, 0.6])), 3)
        0.5
    """
    ordered = np.sort(u[np.isfinite(u)])
    n = len(ordered)
    if not n:
        return 0.0
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def coverage(tails: Array, levels: Array) -> Array:
    """The share of rows in the smallest regions that hold given shares of a model's own rows.

    Args:
        tails: of each row, the share of the model's rows that are not denser, (n,).
        levels: shares of the model's rows, such as 0.9.

    Returns:
        Shares of the rows, one for each level; equal to it for rows of the model.

    Source: Hyndman (1996), "Computing and graphing highest density regions".

    Example:
        >>> coverage(np.array([0.05, 0.3, 0.5, 0.9]), np.array([0.5, 0.9]))
        array([0.5 , 0.75])
    """
    return np.array([(tails >= 1 - level).mean() for level in np.asarray(levels)])
