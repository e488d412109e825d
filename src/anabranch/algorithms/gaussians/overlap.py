"""Clusters from components that overlap."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Rows of one component that another takes for its own: below it they are clusters of their own.
OVERLAP = 0.025


def merge_overlapping(
    responsibilities: Array, threshold: float = OVERLAP, *, at_least: int = 1
) -> Array:
    r"""Join components, the two that overlap most at a time, until no two overlap.

    .. math:: \omega_{ij} = \frac{\sum_n r_{ni} r_{nj}}{\sum_n r_{ni}}

    is the share of rows of component i that would be given to j. A cluster that is no Gaussian
    takes several components, which overlap; clusters with a gap between them do not.

    Source: Hennig (2010), "Methods for merging Gaussian mixture components", Advances in Data
    Analysis and Classification 4 (directly estimated misclassification probabilities).

    Args:
        responsibilities: (N, J).
        threshold: the largest overlap of two clusters.
        at_least: clusters that are left, where there are so many components with rows.

    Returns:
        (N, K) with K <= J.

    Raises:
        ValueError: for a threshold that is not positive, or no cluster.

    Example:
        >>> merge_overlapping(np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]]))
        array([[1., 0.],
               [1., 0.],
               [0., 1.]])
    """
    if not threshold > 0 or at_least < 1:
        raise ValueError(
            f"threshold must be positive and at_least 1 or more, got {threshold} and {at_least}"
        )
    R = responsibilities[:, responsibilities.sum(0) > 0]
    while R.shape[1] > at_least:
        overlap = R.T @ R / R.sum(0)[:, None]
        np.fill_diagonal(overlap, 0.0)
        first, second = sorted(np.unravel_index(overlap.argmax(), overlap.shape))
        if overlap[first, second] < threshold and overlap[second, first] < threshold:
            break
        R[:, first] += R[:, second]
        R = np.delete(R, second, axis=1)
    return R
