"""Tables from files of any known format, whole or in batches."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Unpack

import numpy as np

from anabranch.data.arrow_columns import join_batches
from anabranch.data.arrow_files import ArrowSource, read_ipc, read_json_lines, read_sheet
from anabranch.data.csv_files import CsvSource
from anabranch.data.csv_text import CsvFormat
from anabranch.data.extras import pandas_module
from anabranch.data.formats import detect_format, select_columns
from anabranch.data.idx_files import IdxSource
from anabranch.data.labels import Values, encode_labels, label_names_of
from anabranch.data.numpy_files import open_npy, open_npz
from anabranch.data.parquet_files import ParquetSource
from anabranch.data.source import Batch, Source
from anabranch.data.table import Table

AnyPath = str | PathLike[str]


def read_table(
    path: AnyPath,
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    *,
    label_names: Sequence[str] | None = None,
    **csv: Unpack[CsvFormat],
) -> Table:
    r"""Read a whole file; see `read_tables`.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "pets.csv"
        >>> _ = path.write_text("length,weight,kind\n0.4,4.1,cat\n0.7,9.5,dog\n0.5,4.4,\n")
        >>> table = read_table(path, label_column="kind")
        >>> table.columns, table.labels.tolist(), table.label_names
        (['length', 'weight'], [0, 1, -1], ['cat', 'dog'])
    """
    return read_tables([path], columns, label_column, label_names=label_names, **csv)


def read_tables(
    paths: Sequence[AnyPath],
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    *,
    label_names: Sequence[str] | None = None,
    **csv: Unpack[CsvFormat],
) -> Table:
    """Read files that hold parts of one data set, one after the other.

    Formats, by the ending: `.csv`, `.tsv`, `.txt` (all also with `.gz`, `.xz`, `.bz2` or `.zst`),
    `.parquet`, `.arrow` and `.feather`, `.jsonl` and `.ndjson`, `.xlsx` (its first sheet), `.npy`,
    `.npz` (array `X`, `x` or the only one; `y` holds labels), and IDX as in MNIST (`-ubyte`,
    `.idx`, both also with `.gz`, or known by their first bytes). IDX label files lend their labels
    to the image files, several pairs in the order of appearance. Columns without names are x0, x1,
    ... and arrays with more than two axes are images. True and False in CSV files are 1 and 0, as
    in the others; an empty line of a single column is a missing value.

    Args:
        paths: The files, all with the same columns.
        columns: Which columns to take, in this order; all but the label column by default.
        label_column: Column of labels: integers, or text that gets codes in sorted order. Blank
            labels and -1 are missing; "NA" and "01" are texts like others.
        label_names: Text of labels 0, 1, ... where known; without it the labels' own.
        **csv: `header`, `delimiter` and `decimal` of CSV files; see `CsvFormat`.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If a file is empty, truncated, foreign, ragged, of unknown ending, expands to
            hundreds of times its size, holds no rows, or holds text, or an integer that double
            precision does not hold, in a numeric column; if a column is unknown; if files do not
            fit together.
        ImportError: If a CSV or Parquet file is given and pyarrow is not installed.
    """
    parts = _Parts(paths, columns, label_column, **csv)
    batches = list(parts.batches(1 << 16))
    X, labels = join_batches(batches)
    names = None if label_names is None else list(label_names)
    del batches
    if labels is not None and names is None:
        names = label_names_of([labels])
    return parts.table(Batch(X, labels), names)


def read_mixed(
    paths: Sequence[AnyPath],
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    *,
    label_names: Sequence[str] | None = None,
    **csv: Unpack[CsvFormat],
) -> Table:
    r"""Read files whose columns hold numbers, truth values, dates and text: whole, into a frame.

    The arguments are those of `read_tables`. Empty cells are missing, and of CSV files NA, NaN,
    null and #N/A too, but not among the labels.

    Returns:
        A table whose ``X`` is a frame of pandas.

    Raises:
        ImportError: If pandas is not installed, or pyarrow for the file.
        OSError, ValueError: As `read_tables`, but for text among the numbers.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "pets.csv"
        >>> _ = path.write_text("length,kind\n0.4,cat\n,dog\n0.5,NA\n")
        >>> read_mixed([path]).X.isna().sum().to_dict()
        {'length': 1, 'kind': 1}
    """
    parts = _Parts(paths, columns, label_column, **csv)
    frames = [source.frame(parts.columns) for source in parts.sources]
    frame = frames[0] if len(frames) == 1 else pandas_module().concat(frames, ignore_index=True)
    found = list(parts.label_chunks()) if parts.has_labels else []
    names = None if label_names is None else list(label_names)
    if not found:
        return Table(frame, parts.columns)
    names = label_names_of(found) if names is None else names
    labels = np.concatenate([encode_labels(values, names) for values in found])
    return Table(frame, parts.columns, labels, names)


def stream_table(
    path: AnyPath,
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    batch_rows: int = 65536,
    *,
    label_names: Sequence[str] | None = None,
    **csv: Unpack[CsvFormat],
) -> Iterator[Table]:
    """Read a file in batches; see `stream_tables`."""
    return stream_tables([path], columns, label_column, batch_rows, label_names=label_names, **csv)


def stream_tables(
    paths: Sequence[AnyPath],
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    batch_rows: int = 65536,
    *,
    label_names: Sequence[str] | None = None,
    **csv: Unpack[CsvFormat],
) -> Iterator[Table]:
    """Read files in tables of at most `batch_rows` rows, in bounded memory.

    Only `.npz` files are held whole. The arguments are those of `read_tables`; names and columns
    are checked at once, the content as it is read. With a label column but no `label_names`, the
    label columns are read once beforehand, so that all batches share one coding.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: As `read_tables`, and if `batch_rows` is less than 1.
        ImportError: If a CSV or Parquet file is given and pyarrow is not installed.
    """
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}, expected at least 1")
    parts = _Parts(paths, columns, label_column, **csv)
    names = parts.label_names() if label_names is None else list(label_names)
    return (parts.table(batch, names) for batch in parts.batches(batch_rows))


class _Parts:
    """The opened files of one data set, with the chosen columns."""

    def __init__(
        self,
        paths: Sequence[AnyPath],
        columns: Sequence[str] | None,
        label_column: str | None,
        **csv: Unpack[CsvFormat],
    ) -> None:
        if isinstance(paths, str | PathLike) or not paths:
            raise ValueError(f"paths is {paths!r}, expected a list of at least one file")
        self.sources = _pair_labels([open_source(Path(path), **csv) for path in paths])
        first = self.sources[0]
        self.label_column = _own_label(first, label_column)
        self.columns = _choose(first, columns, self.label_column)
        whole_rows = self.columns == first.columns
        self.image_shape = first.image_shape if whole_rows else None
        for other in self.sources[1:]:
            _check_alike(first, other, all_columns=columns is None)
            _choose(other, self.columns, self.label_column)

    def batches(self, batch_rows: int) -> Iterator[Batch]:
        for source in self.sources:
            yield from source.batches(self.columns, self.label_column, batch_rows)

    @property
    def has_labels(self) -> bool:
        return self.label_column is not None or self.sources[0].has_own_labels

    def label_names(self) -> list[str] | None:
        return label_names_of(self.label_chunks()) if self.has_labels else None

    def table(self, batch: Batch, names: list[str] | None) -> Table:
        if batch.labels is None:
            return Table(batch.X, self.columns, None, None, self.image_shape)
        labels = encode_labels(batch.labels, names)
        return Table(batch.X, self.columns, labels, names, self.image_shape)

    def label_chunks(self) -> Iterable[Values]:
        for source in self.sources:
            for batch in source.batches([], self.label_column, 1 << 16):
                if batch.labels is not None:
                    yield batch.labels


def open_source(path: Path, **csv: Unpack[CsvFormat]) -> Source:
    """Open one file of any format.

    Raises:
        TypeError: For a keyword that is none of CsvFormat.
    """
    if unknown := csv.keys() - CsvFormat.__annotations__.keys():
        raise TypeError(f"there is no keyword {unknown.pop()!r} of CSV files")
    match detect_format(path):
        case "csv":
            return CsvSource(path, **csv)
        case "parquet":
            return ParquetSource(path)
        case "arrow":
            return ArrowSource(path, read_ipc)
        case "json":
            return ArrowSource(path, read_json_lines)
        case "xlsx":
            return ArrowSource(path, read_sheet)
        case "npy":
            return open_npy(path)
        case "npz":
            return open_npz(path)
        case "idx":
            return IdxSource(path)


def _pair_labels(sources: list[Source]) -> list[Source]:
    """Give the labels of IDX label files to the image files, in the order of appearance."""
    idx = [source for source in sources if isinstance(source, IdxSource)]
    labels = [source for source in idx if source.holds_labels]
    images = [source for source in idx if not source.holds_labels]
    if labels and len(labels) != len(images):
        raise ValueError(
            f"{labels[0].path} holds labels; there are {len(labels)} label files and "
            f"{len(images)} image files, expected one for each"
        )
    for image, label in zip(images, labels, strict=False):
        image.take_labels(label)
    return [source for source in sources if source not in labels]


def _own_label(source: Source, label_column: str | None) -> str | None:
    """Return the label column, or None where the labels do not stand among the columns."""
    own = source.has_own_labels and label_column == "y"
    return None if own else label_column


def _choose(source: Source, columns: Sequence[str] | None, label_column: str | None) -> list[str]:
    if isinstance(columns, str):
        raise TypeError(f"columns is the text {columns!r}, expected a list of names")
    if label_column is not None:
        select_columns(source.path, source.columns, [label_column])
    chosen = [name for name in source.columns if name != label_column]
    if columns is None and "" in chosen:
        raise ValueError(
            f"column {source.columns.index('') + 1} of {source.path} has no name (an index "
            "written by pandas?); name it, or choose the columns"
        )
    chosen = select_columns(source.path, source.columns, chosen if columns is None else columns)
    if not chosen:
        raise ValueError(f"no columns of {source.path} are left to read")
    if label_column in chosen:
        raise ValueError(f"columns holds {label_column!r}, which is the label column")
    return chosen


def _check_alike(first: Source, other: Source, all_columns: bool) -> None:
    """Check that two files can be parts of one data set."""
    if all_columns and set(first.columns) != set(other.columns):
        odd = sorted(set(first.columns) ^ set(other.columns))[0]
        raise ValueError(
            f"{first.path} and {other.path} have different columns: only one has {odd!r}"
        )
    if first.image_shape != other.image_shape:
        raise ValueError(
            f"{first.path} has images of shape {first.image_shape}, "
            f"{other.path} of {other.image_shape}"
        )
    if first.has_own_labels != other.has_own_labels:
        raise ValueError(f"only one of {first.path} and {other.path} has labels")
