"""What a user's table must be, said in one sentence when it is not."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.functional.numbers import is_whole

Array = NDArray[np.float64]

# Ratio of the farthest value to the interquartile range beyond which one value flattens the column.
FARTHEST = 1e7


def column_names(estimator: object, n_features: int) -> list[str]:
    """The names that a frame gave, or x0, x1, ...

    Example:
        >>> column_names(object(), 2)
        ['x0', 'x1']
    """
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{j}" for j in range(n_features)] if names is None else [str(name) for name in names]


def check_spread(X: Array, columns: list[str]) -> None:
    """Refuse columns in which a few values are so far out that the others become one number.

    Raises:
        ValueError: naming the columns and their farthest values.

    Example:
        >>> X = np.array([[0.0], [1.0], [2.0], [1e30]])
        >>> check_spread(X, ["a"])
        Traceback (most recent call last):
        ValueError: column 'a' holds 1e+30, more than 1e+07 times its interquartile range from ...
    """
    low, centre, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0, method="lower")
    farthest = X[np.abs(X - centre).argmax(0), np.arange(X.shape[1])]
    bad = (high > low) & (np.abs(farthest - centre) > FARTHEST * (high - low))
    if bad.any():
        named = [f"column {columns[j]!r} holds {farthest[j]:.3g}" for j in np.flatnonzero(bad)[:5]]
        raise ValueError(
            f"{'; '.join(named)}, more than {FARTHEST:.0e} times its interquartile range from the "
            "median: beside such a value all others are one number. Remove it, or transform the "
            "column"
        )


def check_range(z: Tensor, X: Array, columns: list[str]) -> None:
    """Refuse values that single precision cannot hold once they are standardised.

    Raises:
        ValueError: naming the first such value and its column.

    Example:
        >>> check_range(torch.tensor([[torch.inf]]), np.array([[1e300]]), ["a"])
        Traceback (most recent call last):
        ValueError: column 'a' holds 1e+300, too far from the rows that the model was fitted to ...
    """
    bad = ~torch.isfinite(z) & torch.as_tensor(np.isfinite(X))  # a missing cell stays NaN
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise ValueError(
            f"column {columns[column]!r} holds {X[row, column]:.3g}, too far from the rows that "
            "the model was fitted to for single precision"
        )


def check_shares(X: Array, columns: list[str]) -> None:
    """Refuse data that are not shares, which a Bernoulli likelihood needs.

    Raises:
        ValueError: naming the first value that is none.

    Example:
        >>> check_shares(np.array([[0.0, 255.0]]), ["a", "b"])
        Traceback (most recent call last):
        ValueError: likelihood='bernoulli' needs values in [0, 1], got 255 in column 'b', row 0: ...
    """
    bad = (X < 0) | (X > 1)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"likelihood='bernoulli' needs values in [0, 1], got {X[row, column]:g} in column "
            f"{columns[int(column)]!r}, row {row}: divide images by their highest level"
        )


def check_levels(X: Array, levels: int, columns: list[str]) -> None:
    """Refuse data that are not integers 0..levels-1.

    Raises:
        ValueError: naming the first column that is not.

    Example:
        >>> check_levels(np.array([[0.0, 255.0]]), 256, ["a", "b"])
    """
    bad = (X < 0) | (levels - 1 < X) | (np.floor(X) != X)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"levels={levels} needs integers 0..{levels - 1}, got {X[row, column]:g} in column "
            f"{columns[int(column)]!r}, row {row}"
        )


def check_rows(n_rows: int, n_components: int, trained: int | None = None) -> None:
    """Refuse more components than rows to find them in.

    Args:
        n_rows: N.
        n_components: K.
        trained: how many of the rows are not held out.

    Raises:
        ValueError: with the numbers.

    Example:
        >>> check_rows(120, 120, 108)
        Traceback (most recent call last):
        ValueError: 120 components, but 108 of the 120 rows are trained on: lower n_com...
    """
    if n_rows < n_components:
        raise ValueError(
            f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples "
            f"= {n_rows}: X has {n_rows} rows, fewer than the {n_components} components"
        )
    if trained is not None and trained < n_components:
        raise ValueError(
            f"{n_components} components, but {trained} of the {n_rows} rows are trained on: lower "
            "n_components or validation_fraction"
        )


def check_draws(n_samples: object) -> None:
    """Refuse a number of draws that is none.

    Raises:
        ValueError: for what is no integer of at least 1.

    Example:
        >>> check_draws(1e3)
        Traceback (most recent call last):
        ValueError: n_samples must be an integer, got 1000.0
    """
    if not is_whole(n_samples):
        raise ValueError(f"n_samples must be an integer, got {n_samples!r}")
    if int(n_samples) < 1:
        raise ValueError(
            f"Invalid value for 'n_samples': n_samples must be at least 1, got {n_samples!r}"
        )
