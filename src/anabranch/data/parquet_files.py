"""Parquet files, streamed in record batches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anabranch.data.arrow_columns import is_number, is_text, rebatch, to_batch, to_frame
from anabranch.data.extras import pyarrow_module
from anabranch.data.source import Batch, Source

# Column chunks are read through buffers of this size, not whole: a file with one huge row
# group must not be held in memory.
_BUFFER_BYTES = 1 << 20


class ParquetSource(Source):
    """A Parquet file; an index that pandas stored is not one of its columns."""

    has_own_names = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with _parquet_errors(path), self._open() as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        if rows == 0:
            raise ValueError(f"{path} holds no rows")
        index = _pandas_index(schema)
        self.columns = [name for name in schema.names if name not in index]
        self._types = dict(zip(schema.names, schema.types, strict=True))

    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield record batches of the needed columns only."""
        self._check_types(columns, label_column)
        yield from rebatch(self._record_batches(columns, label_column, batch_rows), batch_rows)

    def frame(self, columns: list[str]) -> Any:
        """The columns as a frame of pandas, as they are stored."""
        with _parquet_errors(self.path), self._open() as file:
            return to_frame(file.read(columns=columns))

    def group_sizes(self) -> list[int]:
        """Rows of each row group."""
        with _parquet_errors(self.path), self._open() as file:
            told = file.metadata
            return [told.row_group(group).num_rows for group in range(told.num_row_groups)]

    def group_batches(
        self, group: int, columns: list[str], label_column: str | None
    ) -> Iterator[Batch]:
        """The rows of a row group, some thousands at a time, so that groups may be of any size."""
        self._check_types(columns, label_column)
        wanted = columns if label_column is None else [*columns, label_column]
        with _parquet_errors(self.path), self._open() as file:
            for batch in file.iter_batches(row_groups=[group], columns=wanted):
                yield to_batch(self.path, batch, columns, label_column)

    def _record_batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        wanted = columns if label_column is None else [*columns, label_column]
        with _parquet_errors(self.path), self._open() as file:
            for batch in file.iter_batches(batch_size=batch_rows, columns=wanted):
                yield to_batch(self.path, batch, columns, label_column)

    def _open(self) -> Any:
        # A scan by pyarrow.dataset, even without threads and reading ahead, holds the row group
        # whole: 372 MB for 160 MB of numbers in one group, where this takes 179 MB.
        parquet = pyarrow_module("pyarrow.parquet")
        return parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES)

    def _check_types(self, columns: list[str], label_column: str | None) -> None:
        for name in columns:
            if is_text(self._types[name]):
                raise ValueError(f"{self.path}: column {name!r} {self._first_text(name)}")
            if not is_number(self._types[name]):
                raise ValueError(
                    f"{self.path}: column {name!r} holds {self._types[name]}, expected numbers"
                )
        kind = None if label_column is None else self._types[label_column]
        if kind is not None and not (is_number(kind) or is_text(kind)):
            raise ValueError(
                f"{self.path}: label column {label_column!r} holds {kind}, "
                "expected integers or text"
            )

    def _first_text(self, name: str) -> str:
        row = 0
        with _parquet_errors(self.path), self._open() as file:
            for batch in file.iter_batches(columns=[name]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    if value is not None:
                        return f"holds the text {value!r} in row {row}, expected numbers"
        return "is a text column without values, expected numbers"


def _pandas_index(schema: Any) -> list[str]:
    """The columns that pandas says are an index; none where what it says cannot be read."""
    try:
        index = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return [name for name in index if isinstance(name, str)]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    pa = pyarrow_module("pyarrow")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is not a Parquet file, or it is damaged: {reason}") from error
