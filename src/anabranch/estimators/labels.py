"""Labels: where known, for few or for all rows."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def check_targets(
    y: ArrayLike | None, n_rows: int, n_components: int | None
) -> tuple[Array | None, int]:
    """Labels as a matrix of target probabilities, rows of zeros where unknown.

    Args:
        y: None; (N,) integers, -1 where unknown; or (N, K) probabilities, rows of zeros where
            unknown.
        n_rows: N.
        n_components: K; None for as many as y has classes, or one without labels.

    Returns:
        The targets (N, K), or None where nothing is known, and K.

    Raises:
        ValueError: for a wrong length, labels outside -1..K-1, or rows that are no probabilities.

    Example:
        >>> check_targets([1, -1], 2, 2)
        (array([[0., 1.],
               [0., 0.]]), 2)
    """
    if y is None:
        return None, n_components or 1
    y = np.asarray(y)
    if y.ndim == 0:
        raise ValueError(f"y must have an entry for each row of X, got {y.item()!r}")
    if len(y) != n_rows:
        raise ValueError(f"y has {len(y)} entries for {n_rows} rows of X")
    if n_components == 1 and y.ndim == 1:
        _warn_ignored(_check_integers(y))
        return None, 1
    if y.ndim == 2 and y.shape[1] > 1:
        targets = _check_probabilities(y, n_components)
    else:
        targets = _one_hot(_check_integers(y.reshape(-1)), n_components)
    return (targets if targets.any() else None), targets.shape[1]


def _warn_ignored(y: NDArray[np.int64]) -> None:
    """One component has no classes to tell apart: y is ignored, as density estimators do."""
    if (y > 0).any():
        warnings.warn(
            f"y has labels up to {y.max()} but n_components=1: y is ignored", stacklevel=4
        )


def _check_integers(y: NDArray[np.generic]) -> NDArray[np.int64]:
    if y.dtype.kind not in "iufb":
        raise ValueError(
            "Unknown label type: y must be integers 0..K-1, and -1 where unknown, got "
            f"{y.dtype} such as {y[0]!r}; encode labels with sklearn.preprocessing.LabelEncoder"
        )
    if not np.isfinite(y).all() or (y != np.floor(y)).any():
        raise ValueError("y must be integers 0..K-1, and -1 where unknown, got fractions or NaN")
    return y.astype(np.int64)


def _one_hot(y: NDArray[np.int64], n_components: int | None) -> Array:
    highest = int(y.max(initial=-1))
    n_components = n_components or max(highest + 1, 1)
    if y.min(initial=0) < -1 or highest >= n_components:
        wrong = sorted(set(y[(y < -1) | (y >= n_components)].tolist()))[:5]
        raise ValueError(
            f"labels must be 0..{n_components - 1} for {n_components} components, and -1 where "
            f"unknown, got {', '.join(map(str, wrong))}"
        )
    return np.where(y[:, None] == np.arange(n_components), 1.0, 0.0)


def _check_probabilities(y: NDArray[np.generic], n_components: int | None) -> Array:
    y = y.astype(np.float64)
    if n_components is not None and y.shape[1] != n_components:
        raise ValueError(f"y has {y.shape[1]} columns for {n_components} components")
    total = y.sum(1)
    if (y < 0).any() or not (np.isclose(total, 1.0, atol=1e-4) | (total == 0)).all():
        raise ValueError(
            "rows of a two-dimensional y must be probabilities that sum to one, or zeros where "
            "nothing is known"
        )
    return y
