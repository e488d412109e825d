"""Tables that Arrow reads whole: its own files, lines of JSON, and sheets of spreadsheets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anabranch.data.arrow_columns import is_number, is_text, rebatch, to_batch, to_frame
from anabranch.data.extras import pandas_module, pyarrow_module
from anabranch.data.source import Batch, Source


class ArrowSource(Source):
    """A table of Arrow's.

    Args:
        path: the file.
        load: reads it.

    Raises:
        ValueError: where it is not of its format, or holds no rows.
    """

    has_own_names = True

    def __init__(self, path: Path, load: Callable[[Path], Any]) -> None:
        pa = pyarrow_module("pyarrow")
        self.path = path
        try:
            self._table = load(path)
        except (pa.ArrowException, OSError, KeyError, UnicodeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"{path} is not what its ending says, or damaged: {reason}") from error
        if self._table.num_rows == 0:
            raise ValueError(f"{path} holds no rows")
        self.columns = [str(name) for name in self._table.column_names]
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"{path} has columns of the same name")

    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield batches of the needed columns."""
        self._check_types(columns, label_column)
        wanted = columns if label_column is None else [*columns, label_column]
        parts = self._table.select(wanted).to_batches(max_chunksize=batch_rows)
        found = (to_batch(self.path, part, columns, label_column) for part in parts)
        yield from rebatch(found, batch_rows)

    def frame(self, columns: list[str]) -> Any:
        """The columns as a frame of pandas, as they are stored."""
        return to_frame(self._table.select(columns))

    def _check_types(self, columns: list[str], label_column: str | None) -> None:
        for name in columns:
            kind = self._table.schema.field(name).type
            if not is_number(kind):
                values = (v for v in self._table[name].to_pylist() if v is not None)
                raise ValueError(
                    f"{self.path}: column {name!r} holds {kind}, such as {next(values, None)!r}, "
                    "expected numbers"
                )
        kind = None if label_column is None else self._table.schema.field(label_column).type
        if kind is not None and not (is_number(kind) or is_text(kind)):
            raise ValueError(
                f"{self.path}: label column {label_column!r} holds {kind}, "
                "expected integers or text"
            )


def read_ipc(path: Path) -> Any:
    """Arrow's own file or stream (`.arrow`, `.feather`), mapped into memory."""
    pa = pyarrow_module("pyarrow")
    ipc = pyarrow_module("pyarrow.ipc")
    with pa.memory_map(str(path)) as file:
        try:
            return ipc.open_file(file).read_all()
        except pa.ArrowInvalid:
            file.seek(0)
            return ipc.open_stream(file).read_all()


def read_json_lines(path: Path) -> Any:
    """One object a line (`.jsonl`, `.ndjson`), also compressed."""
    pa = pyarrow_module("pyarrow")
    with pa.input_stream(str(path), compression="detect") as file:
        return pyarrow_module("pyarrow.json").read_json(file)


def read_sheet(path: Path) -> Any:
    """The first sheet of a workbook (`.xlsx`), whose first row names the columns.

    Raises:
        ImportError: without openpyxl.
        ValueError: where it is no workbook.
    """
    from zipfile import BadZipFile

    try:
        frame = pandas_module().read_excel(path, engine="openpyxl")
    except ModuleNotFoundError as error:
        raise ImportError('XLSX files need openpyxl: pip install "anabranch[excel]"') from error
    except BadZipFile as error:
        raise ValueError(f"{path} is no workbook: {error}") from error
    return pyarrow_module("pyarrow").Table.from_pandas(frame, preserve_index=False)
