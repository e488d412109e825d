"""Rows as users give them: how many, and which are held out."""

from collections.abc import Sized
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Values = TypeVar("Values", Array | None, torch.Tensor | None)
# what seeds an estimator
Seed = int | np.random.RandomState | None


def length(X: object) -> int:
    """Rows of what may be no table at all, or a sparse one; the checks of X say so.

    Example:
        >>> length([[1.0], [2.0]]), length(3.0)
        (2, 0)
    """
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 0
    return len(X) if isinstance(X, Sized) else 0


def precision_of(X: object) -> np.dtype:
    """Single precision where all numbers of an array, a tensor or a frame are, and double else.

    Example:
        >>> precision_of(np.zeros((2, 1), np.float32)), precision_of([[0.0]])
        (dtype('float32'), dtype('float64'))
    """
    kinds = getattr(X, "dtypes", None)
    kinds = [getattr(X, "dtype", None)] if kinds is None else list(kinds)
    single = bool(kinds) and all(str(kind).lower().endswith("float32") for kind in kinds)
    return np.dtype(np.float32 if single else np.float64)


def check_weights(sample_weight: ArrayLike | None, n_rows: int) -> Array | None:
    """What each row counts, (n,): as if it were there so many times; None for once.

    Raises:
        ValueError: for another length, numbers that are negative or not finite, or zeros alone.

    Example:
        >>> check_weights([1, 0, 2.5], 3)
        array([1. , 0. , 2.5])
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must be one number for each of {n_rows} rows, got the shape "
            f"{weights.shape}"
        )
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"sample_weight must be numbers not below zero, got {weights[row]} in row {row}"
        )
    if not weights.any():
        raise ValueError("sample_weight must not be zero for all rows")
    return weights


def relative_weights(sample_weight: ArrayLike | None, n_rows: int) -> Array | None:
    """The same, one in the mean of the rows that count; None where they all count alike.

    Example:
        >>> relative_weights([1, 0, 3], 3), relative_weights([2, 2], 2)
        (array([0.5, 0. , 1.5]), None)
    """
    weights = check_weights(sample_weight, n_rows)
    if weights is None or (weights == weights[0]).all():
        return None
    return weights / weights[weights > 0].mean()


def at(values: Values, rows: NDArray[np.int64]) -> Values:
    """Some rows of an array or a tensor that may be None."""
    return None if values is None else values[rows]  # pyright: ignore[reportReturnType]


def as_weights(weights: Array | None) -> torch.Tensor | None:
    """Weights as the loop takes them, in single precision."""
    return None if weights is None else torch.as_tensor(weights, dtype=torch.float32)


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
