"""Refusal of integers that double precision does not hold."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

# From here on the distance between neighbours is more than one.
FIRST_GAP = 2**53


def check_exact(
    X: NDArray[np.generic], columns: Sequence[str], place: str = ""
) -> NDArray[np.generic]:
    """Return X, or raise ValueError that names an integer which double precision does not hold.

    Args:
        X: Shape (n, D), of any type of numbers.
        columns: Names of the D columns.
        place: What the message begins with, such as the file.

    Example:
        >>> _ = check_exact(np.array([[2**53]]), ["id"])
        >>> check_exact(np.array([[2**53 + 1]]), ["id"])
        Traceback (most recent call last):
        ...
        ValueError: column 'id' holds 9007199254740993, which double precision does not hold: ...
    """
    if X.dtype.kind in "iu" and X.dtype.itemsize == 8:
        whole: NDArray[np.integer] = X  # pyright: ignore[reportAssignmentType] - of these kinds
        large = (whole >= FIRST_GAP) | (whole <= -FIRST_GAP)
        for j in np.flatnonzero(large.any(axis=0)).tolist():
            check_numbers(X[large[:, j], j].tolist(), columns[j], place)
    return X


def check_numbers(values: Iterable[int | float | Decimal], column: str, place: str = "") -> None:
    """Raise ValueError for the first value of a column that is no number of double precision."""
    for value in values:
        if float(value) != value:
            raise ValueError(
                f"{place}column {column!r} holds {value}, which double precision does not hold: "
                "subtract an offset from the column, or leave it out"
            )
