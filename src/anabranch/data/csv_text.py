"""CSV files as Python's own reader sees them: slowly, but it can say what is wrong, and where."""

import bz2
import csv
import gzip
import io
import lzma
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

from anabranch.data.exact import check_numbers
from anabranch.data.extras import pyarrow_module
from anabranch.data.formats import damaged_file_errors

BOOLEANS = ("True", "False", "true", "false", "TRUE", "FALSE")
# What Arrow takes for a missing number.
_MISSING = {"", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "NaN", "nan"}
_MISSING |= {"-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
_START_BYTES = 1 << 20
_LONGEST_START = 1 << 25
_SAMPLE_ROWS = 100
_LONG_INTEGER = re.compile(r"[+-]?\d{16,400}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)


class CsvFormat(TypedDict, total=False):
    """How CSV files are written.

    Attributes:
        header: Whether the first line holds names; None takes it so, but refuses a first line
            of numbers, which might be data.
        delimiter: What stands between cells; None for a comma, or a tab in `.tsv` files.
        decimal: What stands before the fraction of a number, "." or ",".
    """

    header: bool | None
    delimiter: str | None
    decimal: str


@dataclass(frozen=True)
class CsvText:
    """The text of a CSV file.

    Attributes:
        path: The file.
        delimiter: What stands between cells, one character of ASCII.
        decimal: What stands before the fraction of a number.
    """

    path: Path
    delimiter: str
    decimal: str

    def __post_init__(self) -> None:
        one = len(self.delimiter) == 1 and self.delimiter.isascii()
        if not one or self.delimiter in '"\r\n\0':
            raise ValueError(f"delimiter is {self.delimiter!r}, expected one character of ASCII")
        if self.decimal not in (".", ",") or self.decimal == self.delimiter:
            raise ValueError(
                f"decimal is {self.decimal!r} and the delimiter {self.delimiter!r}, expected '.' "
                "or ',' and another delimiter, such as ';'"
            )

    def head(self) -> tuple[list[list[str]], int]:
        """The first rows, blank ones without cells, and the bytes of the longest line there."""
        start = self._start()
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{self.path} is text in UTF-16: save it in UTF-8")
        if b"\0" in start:
            raise ValueError(f"{self.path} is not a text file")
        text = start.decode("utf-8-sig", errors="replace")
        rows: list[list[str]] = []
        try:
            rows.extend(islice(self._rows(io.StringIO(text, newline="")), _SAMPLE_ROWS))
        except csv.Error as error:
            if not any(rows):
                raise ValueError(f"{self.path} cannot be read as CSV: {error}") from error
        return rows, max(map(len, re.split(b"[\r\n]", start)))

    def inspect(
        self,
        skipped: int,
        width: int,
        places: Mapping[str, int],
        booleans: Collection[str],
        label: int,
    ) -> None:
        """Raise ValueError for the first row that cannot be read.

        Args:
            skipped: Rows before the first one of data.
            width: Cells of a row.
            places: Columns of numbers, and where they stand.
            booleans: Those of them that hold True and False.
            label: Where the label stands; -1 for nowhere.
        """
        row = 0
        with damaged_file_errors(self.path), self.open() as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
            try:
                for cells in islice(self._rows(text, strict=True), skipped, None):
                    if cells or width == 1:
                        row += 1
                        cells = cells or [""]
                        self._check_row(row, cells, width)
                        for name, j in places.items():
                            self._check_cell(row, name, cells[j], name in booleans)
                    if label >= 0 and cells and "\ufffd" in cells[label]:
                        raise ValueError(
                            f"{self.path} is not text in UTF-8: row {row} holds {cells[label]!r}"
                        )
            except csv.Error as error:
                hint = "" if "expected after" in str(error) else " (has a quote that opens no end?)"
                raise ValueError(f"{self.path}: row {row + 1}: {error}{hint}") from error

    def is_number_with_comma(self, cell: str) -> bool:
        """Whether a cell is a number where a comma stands before the fraction."""
        return bool(_DECIMAL_COMMA.fullmatch(cell)) or self._is_number(cell)

    def open(self) -> BinaryIO:
        """The bytes of the file, decompressed."""
        if self.path.suffix.lower() == ".zst":  # Python has none before 3.14
            arrow = pyarrow_module("pyarrow")
            return cast("BinaryIO", arrow.input_stream(str(self.path), compression="zstd"))
        openers = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
        opened = openers.get(self.path.suffix.lower(), open)(self.path, "rb")
        return cast("BinaryIO", opened)

    def _start(self) -> bytes:
        """The first megabyte, and more where it does not hold three lines."""
        with damaged_file_errors(self.path), self.open() as file:
            start = file.read(_START_BYTES)
            while max(map(start.count, (b"\n", b"\r"))) < 3 and len(start) < _LONGEST_START:
                more = file.read(len(start))
                start += more
                if not more:
                    break
        return start

    def _rows(self, text: io.TextIOBase, *, strict: bool = False) -> Iterator[list[str]]:
        return csv.reader(text, delimiter=self.delimiter, strict=strict)

    def _check_row(self, row: int, cells: list[str], width: int) -> None:
        if len(cells) != width:
            raise ValueError(f"{self.path}: row {row} has {len(cells)} cells, not {width}")

    def _check_cell(self, row: int, name: str, cell: str, boolean: bool) -> None:
        if cell in _MISSING:
            return
        known = cell in (*BOOLEANS, "0", "1") if boolean else self._is_number(cell)
        if not known:
            comma = self.decimal == "." and _DECIMAL_COMMA.fullmatch(cell)
            expected = "True or False, as before" if boolean else "numbers"
            raise ValueError(
                f"{self.path}: column {name!r} holds the text {cell!r} in row {row} (not counting "
                f"the header), expected {expected}"
                + (" (with a decimal comma? then say decimal=',')" if comma else "")
            )
        if _LONG_INTEGER.fullmatch(cell.strip()):
            check_numbers([int(cell)], name, f"{self.path}: row {row} of ")

    def _is_number(self, cell: str) -> bool:
        try:
            float(cell.replace(self.decimal, "."))
        except ValueError:
            return False
        return "_" not in cell and (self.decimal == "." or "." not in cell)
