"""Columns of what users give as tables, frames or arrays, and tables made of columns again."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.data.source import numbered_columns

Values = NDArray[Any]


def frame_kind(X: Any) -> str | None:
    """Whose frame a table is, "pandas" or "polars"; None for what is no frame.

    Example:
        >>> frame_kind(np.zeros((2, 2))) is None
        True
    """
    module = type(X).__module__.partition(".")[0]
    return module if module in ("pandas", "polars") and hasattr(X, "columns") else None


def table_columns(X: Any) -> dict[str, tuple[Values, str]]:
    """The columns of a frame or of a two-dimensional array: values and dtype, by name.

    Raises:
        ValueError: for what has not two dimensions, or columns of the same name.

    Example:
        >>> columns = table_columns([["a", 1.0], ["b", None]])
        >>> columns["x1"][0].tolist(), columns["x1"][1]
        ([1.0, None], 'object')
    """
    if frame_kind(X) is None:
        array = _array(X)
        names = numbered_columns(array.shape[1])
        return {name: (array[:, j], str(array.dtype)) for j, name in enumerate(names)}
    names = [str(name) for name in X.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"X has two columns that are called {twice!r}")
    return {
        name: (_values(X[key]), str(X[key].dtype))
        for name, key in zip(names, X.columns, strict=True)
    }


def _array(X: Any) -> Values:
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(object), None) if X.dtype.kind not in "f" else X.filled(np.nan)
    array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: X must have rows and columns"
        )
    return array


def _values(column: Any) -> Values:
    values = column.to_numpy()
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]")
    if values.dtype.kind in "fiub":
        return values
    return np.asarray(values, dtype=object)


def table_of(columns: Mapping[str, Values], kind: str | None, dtypes: Mapping[str, str]) -> Any:
    """A table of columns: a frame of the kind, with the dtypes, or an array where there is none.

    Args:
        columns: values by name, none of them missing.
        kind: "pandas", "polars", or None.
        dtypes: of the columns, as `table_columns` gives them.

    Raises:
        ImportError: where the library of the frame is not installed.
    """
    if kind == "pandas":
        import pandas as pd

        frame = pd.DataFrame(dict(columns))
        return frame.astype({name: dtypes[name] for name in frame if dtypes[name] != "object"})
    if kind == "polars":
        import polars as pl

        return pl.DataFrame([_polars(pl, name, columns[name], dtypes[name]) for name in columns])
    values = list(columns.values())
    if any(column.dtype.kind not in "fiub" for column in values):
        values = [column.astype(object) for column in values]
    return np.stack(values, axis=1)


def _polars(pl: Any, name: str, values: Values, dtype: str) -> Any:
    """A column of polars; one of text is made from texts, whatever numpy held them in."""
    head = dtype.partition("(")[0]
    given = values if values.dtype.kind in "fiubM" else values.tolist()
    column = pl.Series(name, given)
    unit = re.search(r"time_unit='(\w+)'", dtype)
    if head == "Datetime" and unit is not None:
        return column.cast(pl.Datetime(unit[1]))
    plain = head.isidentifier() and head not in ("Object", "Enum", "Decimal", "List", "Struct")
    return column.cast(getattr(pl, head)) if plain else column
