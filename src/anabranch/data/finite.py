"""Refusal of NaN and infinity, with the places named."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SHOWN = 10


def check_finite(X: NDArray[np.floating], columns: Sequence[str], name: str = "X") -> None:
    """Raise ValueError that names the columns with NaN or infinity, how many each holds, a row.

    Args:
        X: Shape (n, D).
        columns: Names of the D columns.
        name: What the message calls the table.

    Raises:
        ValueError: If a value is not finite, or `columns` does not fit `X`.

    Example:
        >>> check_finite(np.array([[1.0, np.nan], [np.inf, np.nan]]), ["a", "b"])
        Traceback (most recent call last):
        ...
        ValueError: X holds NaN or infinity in 2 of 2 columns: 'a' (1 infinite), ..., first in row 0
    """
    if X.ndim != 2 or X.shape[1] != len(columns):
        raise ValueError(
            f"{name} has shape {X.shape}, expected (n, {len(columns)}) as named columns"
        )
    # A sum is finite only if all terms are: one pass, and no memory, for clean data.
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = np.flatnonzero(~np.isfinite(X.sum(axis=0)))
    found = [text for j in suspect.tolist() if (text := _described(columns[j], X[:, j]))]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ValueError(
            f"{name} holds NaN or infinity in {len(found)} of {len(columns)} columns: "
            f"{', '.join(found[:_SHOWN])}{more}, first in row {_first_row(X)}"
        )


def _first_row(X: NDArray[np.floating]) -> int:
    return int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])


def _described(name: str, column: NDArray[np.floating]) -> str:
    counts = {"NaN": np.isnan(column).sum(), "infinite": np.isinf(column).sum()}
    parts = [f"{count} {kind}" for kind, count in counts.items() if count]
    return f"{name!r} ({', '.join(parts)})" if parts else ""
