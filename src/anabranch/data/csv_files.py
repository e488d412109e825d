"""CSV files, plain or compressed, streamed in record batches."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from anabranch.data.arrow_columns import rebatch, to_batch, to_frame
from anabranch.data.csv_text import BOOLEANS, CsvText
from anabranch.data.exact import FIRST_GAP
from anabranch.data.extras import pyarrow_module
from anabranch.data.formats import check_expansion, damaged_file_errors
from anabranch.data.source import Batch, Source, numbered_columns

# A row must fit into one block; Arrow reads up to 32 blocks ahead.
_BLOCK_BYTES = 1 << 20
_CELL_BYTES = 32
# Of a file up to this size all cells tell what the columns hold; of a larger one the first.
_WHOLE_BYTES = 1 << 28
_DELIMITERS = ",;\t| "


class CsvSource(Source):
    """A table in UTF-8 whose first line names the columns; the arguments are those of CsvFormat."""

    def __init__(
        self,
        path: Path,
        header: bool | None = None,
        delimiter: str | None = None,
        decimal: str = ".",
    ) -> None:
        self.path = path
        if delimiter is None:
            tabs = ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]
            delimiter = "\t" if tabs else ","
        self._text = CsvText(path, delimiter, decimal)
        rows, longest = self._text.head()
        self._blank = next((i for i, row in enumerate(rows) if row), len(rows))
        if self._blank == len(rows):
            raise ValueError(f"{path} is empty")
        first, *others = rows[self._blank :]
        self._check_first(first, next(filter(None, others), []), header)
        self.has_own_names = header is not False
        self.columns = first if self.has_own_names else numbered_columns(len(first))
        self._block_bytes = max(_BLOCK_BYTES, 4 * longest, _CELL_BYTES * len(self.columns))
        sample = others if self.has_own_names else [first, *others]
        self._booleans = {
            name for j, name in enumerate(self.columns) if _first_cell(sample, j) in BOOLEANS
        }

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

    def frame(self, columns: list[str]) -> Any:
        """The columns as a frame of pandas: numbers, truth values, dates, or text.

        Empty cells are missing, and so is what programs write for that: NA, NaN, null, N/A, #N/A.
        """
        pa = pyarrow_module("pyarrow")
        self._block_bytes = max(self._block_bytes, min(4 * self.path.stat().st_size, _WHOLE_BYTES))
        try:
            table = pa.Table.from_batches(list(self._read({}, columns)))
        except (pa.ArrowInvalid, StopIteration) as error:
            self._inspect(set())
            reason = str(error).splitlines()[0]
            if "UTF8" in reason:
                reason = f"it is not text in UTF-8, as which it must be saved ({reason})"
            raise ValueError(f"{self.path} cannot be read as CSV: {reason}") from error
        frame = to_frame(table)
        if self._text.decimal == ".":
            self._check_commas(frame)
        return frame

    def _check_commas(self, frame: Any) -> None:
        """Refuse numbers with decimal commas, which would pass for categories."""
        for name in frame.select_dtypes(exclude=["number", "bool", "datetime"]).columns:
            known = frame[name].dropna().astype(str)
            found = [cell for cell in known if "," in cell]
            if found and all(self._text.is_number_with_comma(cell) for cell in known):
                raise ValueError(
                    f"{self.path}: column {name!r} holds numbers with a decimal comma, such as "
                    f"{found[0]}: say decimal=','"
                )

    def _record_batches(self, columns: list[str], label_column: str | None) -> Iterator[Batch]:
        pa = pyarrow_module("pyarrow")
        types = {name: pa.bool_() if name in self._booleans else pa.float64() for name in columns}
        if label_column is not None:
            types[label_column] = pa.string()
        exact: set[str] = set()
        try:
            for found in self._read(types):
                batch = to_batch(self.path, found, columns, label_column)
                large = (np.abs(batch.X) >= FIRST_GAP).any(axis=0)
                suspects = {columns[j] for j in np.flatnonzero(large)} - exact
                if suspects:  # were they written as integers?
                    self._inspect(suspects)
                    exact |= suspects
                yield batch
        except pa.ArrowInvalid as error:
            reason = str(error).splitlines()[0]
            self._inspect(set(columns), label_column)
            if "Empty CSV" in reason:  # a header alone, whose line has no end
                return
            if "straddl" in reason:
                reason = f"a row is longer than {self._block_bytes >> 20} MiB"
            raise ValueError(f"{self.path} cannot be read as CSV: {reason}") from error

    def _read(self, types: dict[str, Any], columns: list[str] | None = None) -> Iterator[Any]:
        """Record batches of columns of these types, or of types that the cells tell."""
        arrow_csv = pyarrow_module("pyarrow.csv")
        # An empty line is a missing value of a single column; before its name, it is nothing.
        alone = len(self.columns) == 1
        read = arrow_csv.ReadOptions(
            column_names=None if self.has_own_names else self.columns,
            block_size=self._block_bytes,
            skip_rows=self._blank if alone and self.has_own_names else 0,
        )
        parse = arrow_csv.ParseOptions(
            delimiter=self._text.delimiter, newlines_in_values=True, ignore_empty_lines=not alone
        )
        convert = arrow_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types) if columns is None else columns,
            decimal_point=self._text.decimal,
            strings_can_be_null=columns is not None,
        )
        with damaged_file_errors(self.path), self._text.open() as file:
            counted = _Counted(self.path, file)
            reader = arrow_csv.open_csv(counted, read, parse, convert)
            yield from (batch for batch in reader if batch.num_rows)
        if counted.quotes % 2:  # Arrow takes all that follows an open quote for one cell
            self._inspect(set())

    def _inspect(self, columns: set[str], label_column: str | None = None) -> None:
        """Raise ValueError that names the first row that cannot be read, where there is one.

        Arrow's messages count columns and rows in several ways, by version and by block.
        """
        places = {name: j for j, name in enumerate(self.columns) if name in columns}
        label = -1 if label_column is None else self.columns.index(label_column)
        skipped = self._blank + 1 if self.has_own_names else 0
        self._text.inspect(skipped, len(self.columns), places, self._booleans, label)

    def _check_first(self, first: list[str], second: list[str], header: bool | None) -> None:
        """Refuse a first line that is no line of names, or of another format."""
        if any("\ufffd" in name for name in first):
            raise ValueError(f"{self.path} is not text in UTF-8: its first line is {first}")
        own = self._text.delimiter
        for other in _DELIMITERS.replace(own, "").replace(self._text.decimal, ""):
            if len(first) == 1 and other in first[0] and other in own.join(second):
                commas = ", and decimal=','" if own == "," and len(second) > 1 else ""
                raise ValueError(
                    f"{self.path} looks separated by {other!r}, not by {own!r}: say "
                    f"delimiter={other!r}{commas}"
                )
        if header is None and _looks_like_data(first, self._text.decimal):
            raise ValueError(
                f"the first line of {self.path} holds only numbers: add a line of column names, or "
                "say by header=False that it is data, or by header=True that these are names"
            )


class _Counted(io.RawIOBase):
    """The bytes of a file, with their number and that of the quotes among them."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self.bytes = self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.bytes += len(data)
        self.quotes += data.count(b'"')
        check_expansion(self._path, self.bytes)
        return data


def _first_cell(rows: list[list[str]], column: int) -> str | None:
    """The first cell of a column that is not blank."""
    return next((row[column] for row in rows if row[column : column + 1] not in ([], [""])), None)


def _looks_like_data(first: list[str], decimal: str) -> bool:
    """Whether all names are numbers, other than the 0, 1, ... that pandas writes as names."""
    if first == [str(i) for i in range(len(first))]:
        return False
    try:
        return all(np.isreal(float(cell.replace(decimal, "."))) for cell in first)
    except ValueError:
        return False
