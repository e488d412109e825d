"""Rows of a problem whose components hold other shares."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anabranch.problems.base import Problem


def sample_unbalanced(
    problem: Problem, shares: ArrayLike, n: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows (n, D) of which each component holds exactly its share, and their components.

    Args:
        problem: where they come from.
        shares: (K,), with sum one; counts are rounded.
        n: how many.
        seed: of the rows and of their order.

    Raises:
        ValueError: If there is not one share for each component.

    Example:
        >>> from anabranch.problems import Pinwheel
        >>> X, labels = sample_unbalanced(Pinwheel(3), [0.6, 0.3, 0.1], 100, seed=0)
        >>> np.bincount(labels)
        array([60, 30, 10])
    """
    sizes = np.round(np.asarray(shares) * n).astype(int)
    if sizes.shape != (problem.n_components,):
        raise ValueError(
            f"shares must be one for each of {problem.n_components} components, got {shares!r}"
        )
    X, y = problem.sample_per_component(int(sizes.max()), random_state=seed)
    kept = np.concatenate([np.flatnonzero(y == k)[:size] for k, size in enumerate(sizes)])
    order = np.random.RandomState(seed).permutation(kept)
    return X[order], y[order]
