"""Cells of columns as users give them: which are missing, which are numbers, and their values."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]


def is_missing(values: Values) -> NDArray[np.bool_]:
    """Which cells hold nothing: None, NaN, NaT, or pandas' NA.

    Example:
        >>> is_missing(np.array(["a", None, float("nan")], dtype=object)).tolist()
        [False, True, True]
    """
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), bool)
    return np.array([_is_nothing(value) for value in values], dtype=bool)


def _is_nothing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def is_numeric(known: Values) -> bool:
    """Whether cells, none of them missing, are all numbers; truth values count as such.

    Example:
        >>> is_numeric(np.array([1, 2.5], dtype=object)), is_numeric(np.array(["1"]))
        (True, False)
    """
    if known.dtype.kind == "O":
        return all(isinstance(value, Real | Decimal | np.bool_) for value in known)
    return known.dtype.kind in "fiub"


def as_numbers(values: Values) -> NDArray[np.float64]:
    """Numbers in double precision, NaN where a cell is missing.

    Example:
        >>> as_numbers(np.array([1, None, True], dtype=object))
        array([ 1., nan,  1.])
    """
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    missing = is_missing(values)
    return np.array([np.nan if m else float(v) for v, m in zip(values, missing, strict=True)])


def distinct(known: Values) -> tuple[Any, ...]:
    """The values of cells in their order, as plain Python values: numbers before texts.

    Example:
        >>> distinct(np.array(["b", "a", "b"])), distinct(np.array([True, False, True]))
        (('a', 'b'), (False, True))
    """
    return tuple(sorted({_plain(value) for value in known.tolist()}, key=_order))


def codes_of(values: Values, categories: tuple[Any, ...]) -> NDArray[np.float64]:
    """The place of each cell among the categories; NaN where missing, -1 where it is another.

    Example:
        >>> codes_of(np.array(["b", None, "c"], dtype=object), ("a", "b"))
        array([ 1., nan, -1.])
    """
    places = {value: float(place) for place, value in enumerate(categories)}
    codes = np.array([places.get(_plain(value), -1.0) for value in values.tolist()], np.float64)
    codes[is_missing(values)] = np.nan
    return codes


def _plain(value: Any) -> Any:
    """A cell as a plain value that can be compared, and stand in a file."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal) or (isinstance(value, float) and value.is_integer()):
        return int(value) if value == int(value) else float(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _order(value: Any) -> tuple[bool, Any]:
    return (isinstance(value, str), value)
