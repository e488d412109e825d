"""Rows of files as a model wants them: its columns, by name where both sides have names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anabranch.cli.columns import columns_of, context_names
from anabranch.cli.job import terminal
from anabranch.cli.labels import rows_of_classes
from anabranch.data import Table, read_mixed, read_tables, stream_tables
from anabranch.data.csv_text import CsvFormat
from anabranch.estimators.estimator import Estimator

# Values in a batch: tens of megabytes, however wide the table is.
BATCH_VALUES = 1 << 22
MIN_ROWS, MAX_ROWS = 256, 65536


@dataclass(frozen=True)
class Request:
    """Which rows of which files.

    Attributes:
        paths: the files.
        label_column: column of known labels.
        classes: labels to keep, with commas between.
        csv: how CSV files are written.
        given: the context, a row for each of all files or one for all; None where it is among
            their columns.
    """

    paths: Sequence[Path]
    label_column: str | None
    classes: str | None
    csv: CsvFormat
    given: Any = None

    def context(self, model: Estimator) -> list[str] | None:
        """Columns of the context that the files hold."""
        return None if self.given is not None else context_names(model)


@dataclass(frozen=True)
class Part:
    """Some rows, ready for a model.

    Attributes:
        numbers: place of each row in the files, from 0.
        X: the rows, with the names of the model's columns where it has names.
        table: the same as read, with labels.
        context: what a conditional density depends on, as a frame; None for other models.
    """

    numbers: NDArray[np.int64]
    X: Any
    table: Table
    context: Any = None

    @property
    def given(self) -> dict[str, Any]:
        """The context as a keyword argument, where there is one."""
        return {} if self.context is None else {"context": self.context}


def stream(model: Estimator, request: Request) -> Iterator[Part]:
    """Read the columns of the model in parts, with progress on a terminal.

    Raises:
        ValueError: where the columns do not fit the model, or no row has one of the classes.
    """
    columns = _columns(model, request)
    if model.is_table:
        yield from _mixed_parts(model, request, columns)
        return
    batch_rows = int(np.clip(BATCH_VALUES // model.n_features_in_, MIN_ROWS, MAX_ROWS))
    tables = stream_tables(request.paths, columns, request.label_column, batch_rows, **request.csv)
    with tqdm(unit=" rows", disable=not terminal()) as bar:
        yield from _parts(model, request, tables, bar)


def read(model: Estimator, request: Request) -> Part:
    """Read the columns of the model from whole files."""
    columns = _columns(model, request)
    load = read_mixed if model.is_table else read_tables
    table = load(request.paths, columns, request.label_column, **request.csv)
    part = _part(model, request, 0, table)
    _require_rows(len(part.table), request)
    return part


def row_names(
    model: Estimator, request: Request, column: str | None, taken: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The column that names the rows of all files, by its name; nothing without one.

    Text stays what it is, such as 007; a blank name is empty.

    Args:
        model: whose columns stand beside it.
        request: which files.
        column: its name.
        taken: columns that are written beside it.

    Raises:
        ValueError: where it is called as one of these, the files have no such column, or it holds
            fractions.
    """
    if column is None:
        return {}
    if column in taken:
        raise ValueError(f"--id-column {column!r} is called as a column that is written: rename it")
    beside = columns_of(model, request.paths, column, request.csv, request.context(model))
    read = read_mixed if model.is_table else read_tables
    # as labels are read, whose text is kept
    table = read(request.paths, None if beside is None else beside[:1], column, **request.csv)
    labels = np.empty(0, np.int64) if table.labels is None else table.labels
    if table.label_names is None:
        return {column: labels}
    return {column: np.array([*table.label_names, ""], dtype=object)[labels]}


def _columns(model: Estimator, request: Request) -> list[str] | None:
    context = request.context(model)
    return columns_of(model, request.paths, request.label_column, request.csv, context)


def _mixed_parts(model: Estimator, request: Request, columns: list[str] | None) -> Iterator[Part]:
    """Parts of tables of mixed columns, which are read whole."""
    whole = read_mixed(request.paths, columns, request.label_column, **request.csv)
    numbers = np.arange(len(whole))
    tables = (take(whole, numbers // MAX_ROWS == k) for k in range(len(whole) // MAX_ROWS + 1))
    with tqdm(unit=" rows", disable=not terminal()) as bar:
        yield from _parts(model, request, (table for table in tables if len(table)), bar)


def _parts(model: Estimator, request: Request, tables: Iterator[Table], bar: Any) -> Iterator[Part]:
    start, kept = 0, 0
    for table in tables:
        part = _part(model, request, start, table)
        start += len(table)
        kept += len(part.table)
        if len(part.table):
            yield part
        bar.update(len(table))
    _require_rows(kept, request)


def _part(model: Estimator, request: Request, start: int, table: Table) -> Part:
    numbers = np.arange(start, start + len(table))
    if request.classes is not None:
        rows = rows_of_classes(table.labels, request.classes, table.label_names)
        numbers, table = numbers[rows], take(table, rows)
    table, context = split_columns(table, request.context(model))
    if request.given is not None:
        context = at_rows(request.given, numbers)
    return Part(numbers, framed(table.X, model.column_names), table, context)


def _require_rows(n_rows: int, request: Request) -> None:
    if not n_rows:
        raise ValueError(f"no row has one of the labels {request.classes}")


def take(table: Table, rows: NDArray[np.bool_]) -> Table:
    """Some rows of a table."""
    labels = None if table.labels is None else table.labels[rows]
    return replace(table, X=table.X[rows], labels=labels)


def split_columns(table: Table, context: Sequence[str] | None) -> tuple[Table, Any]:
    """A table without the columns of the context, and these as a frame; None without any.

    Raises:
        ValueError: for columns that there are not, or where no other is left.
    """
    if not context:
        return table, None
    missing = [name for name in context if name not in table.columns]
    if missing:
        raise ValueError(
            f"--context names {', '.join(map(repr, missing))}; the columns are "
            + ", ".join(table.columns[:10])
        )
    places = [table.columns.index(name) for name in context]
    rest = [j for j in range(len(table.columns)) if j not in places]
    if not rest:
        raise ValueError("--context names all columns; none is left whose density it could tell")
    kept = replace(table, X=table.X[:, rest], columns=[table.columns[j] for j in rest])
    return kept, framed(table.X[:, places], context)


def split_weights(table: Table, column: str | None) -> tuple[Table, NDArray[np.float64] | None]:
    """A table without the column of what each row counts, and that column; None without one.

    Raises:
        ValueError: for a column that there is not, or that holds no numbers.
    """
    if column is None:
        return table, None
    if column not in table.columns:
        shown = ", ".join(table.columns[:10])
        raise ValueError(f"--weight-column names {column!r}; the columns are {shown}")
    place = table.columns.index(column)
    rest = [name for name in table.columns if name != column]
    X: Any = table.X
    if hasattr(X, "columns"):
        found, others = X[column], X[rest]
    else:
        found, others = X[:, place], np.delete(X, place, axis=1)
    try:
        weights = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"--weight-column {column!r} holds no numbers") from None
    return replace(table, X=others, columns=rest), weights


def framed(X: NDArray[np.floating], names: Sequence[str] | None) -> Any:
    """The rows as a frame where the columns have names, as they are where not."""
    if names is None or hasattr(X, "columns"):
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=list(names), copy=False)


def at_rows(given: Any, numbers: np.ndarray) -> Any:
    """What these rows are given: the row of that number each, or the only one.

    Raises:
        ValueError: where there are fewer rows than are asked for.
    """
    n = len(given)
    if n > 1 and len(numbers) and int(numbers.max()) >= n:
        raise ValueError(f"--given has {n} rows, and the data have more: one for each, or one")
    places = np.zeros_like(numbers) if n == 1 else numbers
    return given[places] if isinstance(given, np.ndarray) else given.iloc[places]
