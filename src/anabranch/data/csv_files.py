"""CSV files, plain or compressed, streamed in record batches."""

import csv
import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from anabranch.data.arrow_columns import rebatch, to_batch
from anabranch.data.extras import pyarrow_module
from anabranch.data.formats import check_distinct, damaged_file_errors
from anabranch.data.source import Batch, Source, numbered_columns

# A row must fit into one block; Arrow reads up to 32 blocks ahead.
_BLOCK_BYTES = 1 << 20


class CsvSource(Source):
    """A comma-separated file in UTF-8 whose first line names the columns.

    Args:
        path: The file.
        header: Whether the first line holds names; None takes it so, but refuses a first line
            of numbers, which might be data.
    """

    def __init__(self, path: Path, header: bool | None = None) -> None:
        self.path = path
        first = self._first_line()
        if header is None and _looks_like_data(first):
            raise ValueError(
                f"the first line of {path} holds only numbers: add a line of column names, or "
                "say by header=False that it is data, or by header=True that these are names"
            )
        self._has_header = header is not False
        self.columns = first if self._has_header else numbered_columns(len(first))
        check_distinct(f"columns of {path}", self.columns)

    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield batches; cells are parsed as numbers, blank ones are NaN."""
        rows = 0
        for batch in rebatch(self._record_batches(columns, label_column), batch_rows):
            rows += len(batch.X)
            yield batch
        if rows == 0:
            raise ValueError(f"{self.path} holds no rows, only column names")

    def _record_batches(self, columns: list[str], label_column: str | None) -> Iterator[Batch]:
        pa = pyarrow_module("pyarrow")
        types = dict.fromkeys(columns, pa.float64())
        if label_column is not None:
            types[label_column] = pa.string()
        try:
            for batch in self._read(types):
                yield to_batch(batch, columns, label_column)
        except pa.ArrowInvalid as error:
            self._explain(columns)
            reason = str(error).splitlines()[0]
            raise ValueError(f"{self.path} cannot be read as CSV: {reason}") from error

    def _read(self, types: dict[str, Any], invalid_row: Any = None) -> Iterator[Any]:
        arrow_csv = pyarrow_module("pyarrow.csv")
        names = None if self._has_header else self.columns
        # Arrow knows the numbers of invalid rows only without threads.
        read = arrow_csv.ReadOptions(
            use_threads=invalid_row is None, column_names=names, block_size=_BLOCK_BYTES
        )
        parse = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=invalid_row)
        convert = arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=True
        )
        with damaged_file_errors(self.path), _open(self.path) as file:
            reader = arrow_csv.open_csv(file, read, parse, convert)
            yield from (batch for batch in reader if batch.num_rows)

    def _explain(self, columns: list[str]) -> None:
        """Read again without parsing numbers, to name the first row that cannot be read.

        Arrow's own messages count columns and rows in several ways, by version and by block.
        """
        pa = pyarrow_module("pyarrow")
        ragged: list[str] = []

        def note(row: Any) -> str:
            place = "a row" if row.number is None else f"row {row.number - self._has_header}"
            ragged.append(f"{place} has {row.actual_columns} cells, not {row.expected_columns}")
            return "skip"

        start = 0
        for batch in self._read(dict.fromkeys(columns, pa.binary()), note):
            if ragged:
                break
            for name in columns:
                self._check_numbers(name, batch.column(name), start)
            start += batch.num_rows
        if ragged:
            raise ValueError(f"{self.path}: {ragged[0]}")

    def _check_numbers(self, name: str, column: Any, start: int) -> None:
        if _are_numbers(column):
            return
        for i, cell in enumerate(column):
            if not _are_numbers(column.slice(i, 1)):
                text = cell.as_py().decode(errors="replace")
                raise ValueError(
                    f"{self.path}: column {name!r} holds the text {text!r} in row "
                    f"{start + i + 1} (not counting the header), expected numbers"
                )

    def _first_line(self) -> list[str]:
        with damaged_file_errors(self.path), _open(self.path) as file:
            start = file.read(_BLOCK_BYTES)
        if b"\0" in start:
            raise ValueError(f"{self.path} is not a text file")
        lines = csv.reader(io.StringIO(start.decode("utf-8-sig", errors="replace")))
        try:
            first = next((line for line in lines if line), None)
        except csv.Error as error:
            raise ValueError(f"{self.path} cannot be read as CSV: {error}") from error
        if first is None:
            raise ValueError(f"{self.path} is empty")
        if any("\ufffd" in name for name in first):
            raise ValueError(f"{self.path} is not text in UTF-8: its first line is {first}")
        return first


def _open(path: Path) -> BinaryIO:
    openers = {".gz": gzip.open, ".xz": lzma.open}
    return cast("BinaryIO", openers.get(path.suffix.lower(), open)(path, "rb"))


def _are_numbers(cells: Any) -> bool:
    """Whether all cells, an Arrow array of bytes, are numbers or missing, as Arrow reads them."""
    pa, compute = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.compute")
    try:
        compute.utf8_trim_whitespace(cells.cast(pa.string())).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _looks_like_data(first: list[str]) -> bool:
    """Whether all names are numbers, other than the 0, 1, ... that pandas writes as names."""
    if first == [str(i) for i in range(len(first))]:
        return False
    try:
        return all(np.isreal(float(cell)) for cell in first)
    except ValueError:
        return False
