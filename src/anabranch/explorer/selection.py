"""Which rows a lasso holds, and which rows of many are drawn."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# Corners of a lasso that are taken, at most; a browser thins its own to fewer.
MOST_CORNERS = 200


def inside(polygon: ArrayLike, points: Array) -> NDArray[np.bool_]:
    """Which points lie in a polygon, by the number of edges that a ray to the right crosses.

    Args:
        polygon: (m, 2) corners in order; the last edge leads back to the first corner.
        points: (n, 2).

    Returns:
        (n,).

    Raises:
        ValueError: for fewer than three corners, too many, or no numbers.

    Example:
        >>> square = [[0, 0], [2, 0], [2, 2], [0, 2]]
        >>> inside(square, np.array([[1.0, 1.0], [3.0, 1.0]])).tolist()
        [True, False]
    """
    corners = np.asarray(polygon, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or not 3 <= len(corners) <= MOST_CORNERS:
        raise ValueError(f"a lasso has 3 to {MOST_CORNERS} corners of two numbers")
    if not np.isfinite(corners).all():
        raise ValueError("corners of a lasso must be finite numbers")
    x, y = points.T
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        if y1 != y0:
            odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd


def picked(selection: object, points: Array) -> NDArray[np.bool_]:
    """Rows that a page has selected: {"corners": of a lasso} or {"row": the one clicked}.

    Raises:
        ValueError: for anything else.

    Example:
        >>> picked({"row": 1}, np.zeros((3, 2))).tolist()
        [False, True, False]
    """
    if isinstance(selection, dict) and "corners" in selection:
        return inside(selection["corners"], points)
    row = selection.get("row") if isinstance(selection, dict) else None
    if not isinstance(row, int) or not 0 <= row < len(points):
        raise ValueError("no rows are selected")
    return np.arange(len(points)) == row


def drawn_rows(groups: NDArray[np.int64], most: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Rows to draw: all where they are few enough, else a sample with rows of every group.

    Each group has its share of the sample, but at least a fair part of it up to its size, so that
    small clusters are seen.

    Args:
        groups: (n,) integers.
        most: rows at most.
        seed: of the sample.

    Returns:
        Row numbers in order.

    Example:
        >>> drawn_rows(np.array([0] * 90 + [1] * 10), 20).shape
        (20,)
    """
    n = len(groups)
    if n <= most:
        return np.arange(n)
    random = np.random.RandomState(seed)
    names, sizes = np.unique(groups, return_counts=True)
    least = np.minimum(sizes, most // (2 * len(names)))
    rest = most - least.sum()
    left = sizes - least
    shares = least + np.floor(rest * left / left.sum()).astype(int)
    shares[np.argmax(left)] += most - shares.sum()
    parts = [
        random.choice(np.flatnonzero(groups == name), int(share), replace=False)
        for name, share in zip(names, shares, strict=True)
    ]
    return np.sort(np.concatenate(parts))
