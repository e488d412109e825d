"""Tables to files: CSV, lines of JSON, Parquet and Arrow's own."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from anabranch.data.atomic import atomic_write, is_special
from anabranch.data.extras import pyarrow_module

Columns = Mapping[str, ArrayLike]
WRITTEN = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


class TableWriter:
    """Write a table part by part; the file takes its name when all is written.

    Use it as a context manager. If anything is raised inside, no file appears and one that was
    there before stays as it was. Leaving it with nothing written is a ValueError.

    Args:
        path: A name that ends in `.csv`, `.tsv` or `.jsonl`, all also with `.gz`, `.bz2` or
            `.zst`, or in `.parquet`, `.arrow` or `.feather`. A pipe or device without such an
            ending gets CSV.

    Raises:
        ValueError: If the ending is unknown.
        ImportError: If pyarrow is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> with TableWriter(path) as writer:
        ...     writer.write({"label": [0, 1], "score": [0.5, -1.25]})
        ...     writer.write({"label": [1], "score": [2.0]})
        >>> print(path.read_text())
        label,score
        0,0.5
        1,-1.25
        1,2
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._format, self._compression = _format(self.path)
        self._stack = ExitStack()
        self._writer: Any = None
        self._file: Any = None
        self._schema: Any = None
        pyarrow_module("pyarrow")

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(atomic_write(self.path))
        return self

    def write(self, columns: Columns) -> None:
        """Append rows: one-dimensional arrays of equal length, by column name.

        Raises:
            OSError: If the disk is full.
            ValueError: If lengths differ, an array is not one-dimensional, or names or types are
                not those of the first call.
            RuntimeError: If the writer is not open.
        """
        if self._file is None:
            raise RuntimeError("the TableWriter is not open; use it in a with statement")
        batch = _record_batch(columns)
        if self._writer is None:
            self._schema = batch.schema
            self._writer = self._stack.enter_context(self._open(batch.schema))
        if batch.schema != self._schema:
            raise ValueError(
                f"columns are {_described(batch.schema)}, "
                f"expected {_described(self._schema)} as before"
            )
        self._writer.write_batch(batch)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file = None
        if error is None and self._writer is None:
            error = ValueError(f"no rows were written to {self.path}")
            self._stack.__exit__(ValueError, error, None)
            raise error
        self._stack.__exit__(kind, error, traceback)

    def _open(self, schema: Any) -> Any:
        if self._format == "parquet":
            return pyarrow_module("pyarrow.parquet").ParquetWriter(self._file, schema)
        if self._format == "arrow":
            return pyarrow_module("pyarrow.ipc").new_file(self._file, schema)
        if self._compression is not None:
            arrow = pyarrow_module("pyarrow")
            unclosed = arrow.PythonFile(_LeftOpen(self._file), mode="w")
            stream = arrow.CompressedOutputStream(unclosed, self._compression)
            self._file = self._stack.enter_context(stream)
        if self._format == "jsonl":
            return self._stack.enter_context(_JsonLines(self._file))
        # Arrow quotes every column name, which no other tool does.
        header = io.StringIO()
        delimiter = "\t" if self._format == "tsv" else ","
        csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(schema.names)
        self._file.write(header.getvalue().encode())
        arrow_csv = pyarrow_module("pyarrow.csv")
        plain = arrow_csv.WriteOptions(include_header=False, delimiter=delimiter)
        return arrow_csv.CSVWriter(self._file, schema, write_options=plain)


def write_table(path: str | os.PathLike[str], columns: Columns) -> None:
    """Write one-dimensional arrays of equal length as a CSV or Parquet file, all or nothing.

    Args:
        path: A name that ends in `.csv` or `.parquet`.
        columns: Arrays of numbers or text, by column name.

    Raises:
        OSError: If the folder is missing or read-only, or the disk is full.
        ValueError: If the ending is unknown, lengths differ, or an array is not
            one-dimensional.
        ImportError: If pyarrow is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.parquet"
        >>> write_table(path, {"label": np.array([0, 1])})
        >>> path.exists()
        True
    """
    with TableWriter(path) as writer:
        writer.write(columns)


class _LeftOpen(io.RawIOBase):
    """A file that is not closed with the compressor that writes to it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


class _JsonLines:
    """One object a line, of batches of Arrow."""

    def __init__(self, file: Any) -> None:
        self._file: Any = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file = None

    def write_batch(self, batch: Any) -> None:
        """Append rows; what is not finite is null, for JSON has no such numbers."""
        lines = (json.dumps(_finite(row), default=str) + "\n" for row in batch.to_pylist())
        self._file.write("".join(lines).encode())


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _format(path: Path) -> tuple[str, str | None]:
    """What a name asks for: the format, and how it is compressed."""
    name, compression = path.name.lower(), None
    for ending, codec in CODECS.items():
        if name.endswith(ending):
            name, compression = name.removesuffix(ending), codec
    for ending, kind in WRITTEN.items():
        if name.endswith(ending) and (compression is None or kind in ("csv", "tsv", "jsonl")):
            return kind, compression
    if is_special(path):
        return "csv", None
    raise ValueError(
        f"cannot write {path}: the name must end in {', '.join(WRITTEN)}; of text also with "
        f"{', '.join(CODECS)}"
    )


def _record_batch(columns: Columns) -> Any:
    pa = pyarrow_module("pyarrow")
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if not arrays:
        raise ValueError("columns is empty, expected at least one column")
    for name, array in arrays.items():
        if array.ndim != 1:
            raise ValueError(f"column {name!r} has shape {array.shape}, expected (n,)")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths: {lengths}")
    return pa.record_batch({name: pa.array(array) for name, array in arrays.items()})


def _described(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
