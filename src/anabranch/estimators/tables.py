"""What users give as tables, before their values are cast: frames and masked arrays."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from anabranch.data.exact import check_exact, check_numbers
from anabranch.data.extras import pandas_module
from anabranch.data.source import numbered_columns


@runtime_checkable
class Frame(Protocol):
    """A frame of pandas or polars, whose columns are found by name."""

    columns: Iterable[str]
    dtypes: Iterable[object]


@runtime_checkable
class ArrowTable(Protocol):
    """A table or a batch of rows of pyarrow."""

    schema: object

    def to_pandas(self) -> object:
        """The same as a frame."""
        ...


def named_columns(X: object) -> object:
    """Columns by name as a frame: a dict of arrays, or a table or batch of Arrow's; else as it is.

    Raises:
        ImportError: where pandas is not installed.
        ValueError: for columns of different lengths, or of more than one axis.

    Example:
        >>> named_columns({"x": [1.0, 2.0], "y": [3.0, 4.0]}).shape
        (2, 2)
    """
    # a sparse array of scipy may be a dict, too, of places
    if isinstance(X, Mapping) and not hasattr(X, "shape"):
        return pandas_module().DataFrame(dict(X))
    is_arrow = type(X).__module__.partition(".")[0] == "pyarrow"
    return X.to_pandas() if is_arrow and isinstance(X, ArrowTable) else X


def plain_table(X: ArrayLike) -> ArrayLike:
    """The table without a mask, whose masked values are NaN, and with nothing but numbers.

    Raises:
        ValueError: naming a column of a frame that holds text, dates or sparse values, or one of
            integers that double precision does not hold.

    Example:
        >>> plain_table(np.ma.masked_array([[1.0, 999.0]], mask=[[False, True]]))
        array([[ 1., nan]])
    """
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan) if X.dtype.kind in "fiub" else X
    if isinstance(X, np.ndarray) and X.ndim == 2:
        check_exact(X, numbered_columns(X.shape[1]))
    elif isinstance(X, Frame):
        for name, kind in zip(X.columns, X.dtypes, strict=True):
            if not (isinstance(kind, np.dtype) and kind.kind in "fb"):
                column: ArrayLike = X[name]  # pyright: ignore - by name
                _check_column(str(name), str(kind), column)
    return X


def _check_column(name: str, kind: str, column: ArrayLike) -> None:
    if "Sparse" in kind:
        raise ValueError(f"column {name!r} is sparse; make it dense, in pandas by sparse.to_dense")
    values = np.asarray(column)
    if values.dtype.kind == "f" and "int" in kind.lower():  # integers, some of which are missing
        values = np.asarray(column, dtype=object)
    found = None
    if values.ndim == 1 and values.dtype.kind == "O":
        found = next((value for value in values if not _is_number(value)), None)
        check_numbers((int(value) for value in values if isinstance(value, Integral)), name)
    elif values.dtype.kind in "iub":
        check_exact(values.reshape(-1, 1), [name])
    elif values.dtype.kind != "f":
        found = next(iter(values), None)
    if found is not None:
        kind = "text" if isinstance(found, str) else kind
        raise ValueError(
            f"column {name!r} holds {kind} such as {str(found)!r}, expected numbers: encode it, or "
            "leave it out"
        )


def _is_number(value: object) -> bool:
    """Whether a value is a number, or missing as None and pandas' NA say."""
    return isinstance(value, Real | Decimal | None) or type(value).__name__ == "NAType"
