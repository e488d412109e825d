"""A table of mixed columns as numbers, and back: reals first, then the codes of categories."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anabranch.data.cells import as_numbers, codes_of, is_missing
from anabranch.data.column_kinds import ColumnKind, check_values, read_kinds, settled
from anabranch.data.frames import frame_kind, table_columns, table_of

Array = NDArray[np.float64]
Values = NDArray[Any]
DAY = np.timedelta64(86_400_000_000_000, "ns")
LAST_DAY = 2.0**63 / 8.64e13 - 1  # from 1970, that nanoseconds in 64 bits hold
WHOLE = 2.0**53  # up to which double precision tells whole numbers apart
EPOCH = np.datetime64(0, "ns")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its own, or x0, x1, ...
        kind: what it is.
        dtype: what held its values.
        whole: whether all its numbers are whole, so that draws are rounded.
    """

    name: str
    kind: ColumnKind
    dtype: str
    whole: bool


@dataclass(frozen=True)
class TableCoding:
    """How the columns of a table stand in an array of numbers.

    The array holds the D real columns in their order, then the codes 0, 1, ... of the C categories
    in theirs; NaN where a cell is missing. Constants and identifiers are left out. A date is told
    in days since 1970.

    Attributes:
        columns: all columns of the table.
        frame: whose frame it came in, "pandas" or "polars"; None for an array.

    Example:
        >>> X = [["a", 0.5], ["b", 1.25], ["a", None]]
        >>> coding = TableCoding.of(X, {"x1": "positive"})
        >>> coding.encode(X)
        array([[0.5 , 0.  ],
               [1.25, 1.  ],
               [ nan, 0.  ]])
        >>> coding.decode(np.array([[0.5, 1.0]])).tolist()
        [['b', 0.5]]
    """

    columns: tuple[Column, ...]
    frame: str | None = None

    @classmethod
    def of(cls, X: Any, spec: object = "auto") -> Self:
        """The coding of a table whose columns are of given kinds; others are told from values.

        Args:
            X: a frame, or rows of an array.
            spec: see `anabranch.data.column_kinds.read_kinds`.

        Raises:
            ValueError: for kinds that there are not, or values that are none of their kind.
        """
        table = table_columns(X)
        given = read_kinds(spec, list(table))
        columns = []
        for place, (name, (values, dtype)) in enumerate(table.items()):
            kind = settled(given.get(place), values, name)
            columns.append(Column(name, kind, dtype, kind.is_real and _are_whole(kind, values)))
        return cls(tuple(columns), frame_kind(X))

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        return [column.name for column in self.columns]

    @property
    def reals(self) -> list[Column]:
        """The columns that a density is told of."""
        return [column for column in self.columns if column.kind.is_real]

    @property
    def codes(self) -> list[Column]:
        """The columns that probabilities are told of."""
        return [column for column in self.columns if column.kind.is_code]

    @property
    def levels(self) -> list[int]:
        """How many categories each of these has."""
        return [len(column.kind.categories) for column in self.codes]

    @property
    def encoded_names(self) -> list[str]:
        """Of the columns of the array."""
        return [column.name for column in (*self.reals, *self.codes)]

    def left_out(self, kind: str) -> list[str]:
        """Names of the columns of a kind that no model sees."""
        return [column.name for column in self.columns if column.kind.name == kind]

    def encode(self, X: Any) -> Array:
        """The table as numbers, (n, D + C).

        Raises:
            ValueError: for other columns, or values that are none of their kind.
        """
        table = table_columns(X)
        self._check_columns(list(table))
        parts = [_numbers(column, table[column.name][0]) for column in (*self.reals, *self.codes)]
        return np.stack(parts, axis=1) if parts else np.empty((len(X), 0))

    def decode(self, numbers: Array) -> Any:
        """A table as it was given, of an array of numbers without NaN; identifiers are left out."""
        places = {name: j for j, name in enumerate(self.encoded_names)}
        values = {
            column.name: _values(column, numbers, places.get(column.name))
            for column in self.columns
            if column.kind.name != "identifier"
        }
        dtypes = {column.name: column.dtype for column in self.columns}
        return table_of(values, self.frame, dtypes)

    def plain(self) -> dict[str, Any]:
        """In plain JSON values; `from_plain` is the inverse."""
        columns = [asdict(column) | {"kind": column.kind.plain()} for column in self.columns]
        return {"frame": self.frame, "columns": columns}

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Self:
        """The coding of plain JSON values."""
        columns = (
            Column(**{**column, "kind": ColumnKind.from_plain(column["kind"])})
            for column in fields["columns"]
        )
        return cls(tuple(columns), fields["frame"])

    def _check_columns(self, names: Sequence[str]) -> None:
        needed = [column.name for column in self.columns if column.kind.name != "identifier"]
        missing = [name for name in needed if name not in names]
        if missing:
            raise ValueError(
                f"X lacks {len(missing)} of the {len(self.columns)} columns that the model was "
                f"fitted to: {', '.join(map(repr, missing[:5]))}"
            )


def _are_whole(kind: ColumnKind, values: Values) -> bool:
    if kind.name == "date":
        return False
    numbers = as_numbers(values)
    numbers = numbers[~np.isnan(numbers)]
    return bool((np.floor(numbers) == numbers).all())


def _numbers(column: Column, values: Values) -> Array:
    """The cells of a column as numbers, NaN where missing."""
    if column.kind.is_code:
        codes = codes_of(values, column.kind.categories)
        if (codes < 0).any():
            known = ", ".join(map(repr, column.kind.categories[:8]))
            raise ValueError(
                f"column {column.name!r} holds {values[(codes < 0).argmax()]!r}, which is none of "
                f"the categories that the model was fitted to: {known}"
            )
        return codes
    check_values(column.kind, values, column.name)
    if column.kind.name == "date":
        days = (values.astype("datetime64[ns]") - EPOCH) / DAY
        return np.where(np.isnat(values), np.nan, days)
    return as_numbers(values)


def _values(column: Column, numbers: Array, place: int | None) -> Values:
    """The cells of a column from numbers."""
    if place is None:
        found = column.kind.categories
        return _filled(found[0] if found else None, len(numbers))
    own = numbers[:, place]
    if column.kind.is_code:
        categories = np.empty(len(column.kind.categories), dtype=object)
        categories[:] = column.kind.categories
        return _tightened(categories[own.astype(np.int64)])
    if column.kind.name == "date":
        own = own.clip(-LAST_DAY, LAST_DAY)
        return EPOCH + np.rint(own * (DAY / np.timedelta64(1, "ns"))).astype("timedelta64[ns]")
    if column.whole:
        own = np.rint(own.clip(-WHOLE, WHOLE))
        if column.kind.name == "circle":
            own = own % column.kind.upper
        if column.kind.name == "positive":
            own = np.maximum(own, 1.0)
    return own


def _filled(value: Any, size: int) -> Values:
    cells = np.empty(size, dtype=object)
    cells[:] = [value] * size
    return _tightened(cells)


def _tightened(cells: Values) -> Values:
    """Objects that are all numbers as an array of numbers."""
    if all(isinstance(value, bool) for value in cells):
        return cells.astype(bool)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in cells)
    return cells.astype(np.float64) if numbers and len(cells) else cells


def missing_cells(X: Any) -> NDArray[np.bool_]:
    """Which cells of a table are missing, (n, columns).

    Example:
        >>> missing_cells([["a", None]]).tolist()
        [[False, True]]
    """
    return np.stack([is_missing(values) for values, _ in table_columns(X).values()], axis=1)
