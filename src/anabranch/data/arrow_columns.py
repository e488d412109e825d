"""Arrow's columns to NumPy arrays."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anabranch.data.exact import FIRST_GAP, check_numbers
from anabranch.data.extras import pandas_module, pyarrow_module
from anabranch.data.labels import Values
from anabranch.data.source import Batch

# pyarrow ships no types, so its objects are Any here.
Array = Any
DataType = Any


def is_number(kind: DataType) -> bool:
    """Whether all values of an Arrow type are real numbers (or missing)."""
    types = pyarrow_module("pyarrow.types")
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def is_text(kind: DataType) -> bool:
    """Whether an Arrow type is text, also as a dictionary (a categorical column)."""
    types = pyarrow_module("pyarrow.types")
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def to_batch(path: Path, batch: Array, columns: list[str], label_column: str | None) -> Batch:
    """Take the columns and the labels from an Arrow record batch of a file.

    Columns are float32 if all are, else float64; missing values are NaN.

    Raises:
        ValueError: If a column holds an integer that double precision does not.
    """
    pa = pyarrow_module("pyarrow")
    arrays = [batch.column(name) for name in columns]
    single = bool(columns) and all(array.type == pa.float32() for array in arrays)
    X = np.empty((batch.num_rows, len(columns)), dtype=np.float32 if single else np.float64)
    for j, array in enumerate(arrays):
        numbers = array if single else _to_float64(array)
        X[:, j] = numbers.to_numpy(zero_copy_only=False)
        if pa.types.is_integer(array.type) or pa.types.is_decimal(array.type):
            large = np.flatnonzero(np.abs(X[:, j]) >= FIRST_GAP)
            check_numbers(array.take(pa.array(large)).to_pylist(), columns[j], f"{path}: ")
    return Batch(X, None if label_column is None else _to_labels(batch.column(label_column)))


def to_frame(table: Array) -> Any:
    """An Arrow table as a frame of pandas, dates as such.

    Raises:
        ImportError: If pandas is not installed.
    """
    pandas_module()
    return table.to_pandas(date_as_object=False)


def _to_float64(column: Array) -> Array:
    pa = pyarrow_module("pyarrow")
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False)


def _to_labels(column: Array) -> Values:
    """Return an Arrow column as integers, floats with NaN, or text with None."""
    types = pyarrow_module("pyarrow.types")
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_boolean(column.type) or types.is_decimal(column.type):
        column = _to_float64(column)
    return column.to_numpy(zero_copy_only=False)


def rebatch(batches: Iterable[Batch], batch_rows: int) -> Iterator[Batch]:
    """Regroup batches of any sizes, none empty, into ones of exactly `batch_rows` rows but the
    last.
    """
    kept: list[Batch] = []
    rows = 0
    for batch in batches:
        kept.append(batch)
        rows += len(batch.X)
        while rows >= batch_rows:
            joined = join_batches(kept)
            rows -= batch_rows
            kept = [_rows(joined, slice(batch_rows, None))] if rows else []
            yield _rows(joined, slice(0, batch_rows))
    if rows:
        yield join_batches(kept)


def join_batches(batches: list[Batch]) -> Batch:
    """Concatenate batches."""
    if len(batches) == 1:
        return batches[0]
    labels = [batch.labels for batch in batches if batch.labels is not None]
    X = np.concatenate([batch.X for batch in batches])
    return Batch(X, np.concatenate(labels) if labels else None)


def _rows(batch: Batch, rows: slice) -> Batch:
    return Batch(batch.X[rows], None if batch.labels is None else batch.labels[rows])
