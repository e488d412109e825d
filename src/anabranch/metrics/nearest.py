"""How well nearest neighbours tell two samples apart."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors

from anabranch.metrics.two_sample import as_points


def nearest_neighbour_accuracy(x: ArrayLike, y: ArrayLike) -> float:
    r"""The share of points whose nearest other point is of their own sample.

    One half where both are of one distribution, one where they lie apart, and below a half where
    one copies the other: a classifier of one nearest neighbour, each point left out in turn. Each
    sample counts half, whatever its size.

    Args:
        x: (n, D), or (n,) for D = 1.
        y: (m, D), or (m,) for D = 1; of about as many points as x, for a half to be what it means.

    Raises:
        ValueError: where shapes do not fit, or a sample is empty or not finite.

    Source: Lopez-Paz, Oquab (2017), "Revisiting classifier two-sample tests", arXiv:1610.06545;
    Xu et al. (2018), arXiv:1806.07755.

    Example:
        >>> nearest_neighbour_accuracy([0.0, 0.1, 0.2], [5.0, 5.1, 5.2])
        1.0
    """
    points, others = as_points("x", x), as_points("y", y)
    if points.shape[1] != others.shape[1]:
        raise ValueError(f"x has {points.shape[1]} features, y has {others.shape[1]}")
    pooled = np.concatenate((points, others))
    first = np.arange(len(pooled)) < len(points)
    nearest = NearestNeighbors(n_neighbors=1).fit(pooled).kneighbors(return_distance=False)
    right = first[nearest[:, 0]] == first
    return float((right[first].mean() + right[~first].mean()) / 2)
