"""Rows as users give them: how many, and which are held out."""

from collections.abc import Sized

import numpy as np
from numpy.typing import ArrayLike, NDArray

# what seeds an estimator
Seed = int | np.random.RandomState | None


def length(X: ArrayLike) -> int:
    """Rows of what may be no table at all; the checks of X say so.

    Example:
        >>> length([[1.0], [2.0]]), length(3.0)
        (2, 0)
    """
    return len(X) if isinstance(X, Sized) else 0


def split_rows(
    n_rows: int,
    targets: NDArray[np.float64] | None,
    share: float,
    random_state: np.random.RandomState,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows held out; labelled rows are held out only if all are labelled.

    Fewer than ten rows are too few to hold any out: they are trained and scored on.

    Example:
        >>> rows, held_out = split_rows(50, None, 0.1, np.random.RandomState(0))
        >>> len(rows), len(held_out)
        (45, 5)
    """
    order = random_state.permutation(n_rows)
    n_held_out = 0 if n_rows < 10 else max(round(share * n_rows), 2)
    known = np.zeros(n_rows, bool) if targets is None else targets.sum(axis=1) > 0
    if n_held_out < (~known).sum():
        order = order[np.argsort(known[order], kind="stable")]
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
