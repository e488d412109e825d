"""Rows of files as a model wants them: its columns, by name where both sides have names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anabranch.cli.job import note, terminal
from anabranch.cli.labels import rows_of_classes
from anabranch.cli.loading import n_features
from anabranch.data import Table, read_tables, stream_tables
from anabranch.data.csv_files import CsvSource
from anabranch.data.formats import detect_format
from anabranch.data.idx_files import IdxSource
from anabranch.data.numpy_files import open_npy, open_npz
from anabranch.data.parquet_files import ParquetSource
from anabranch.estimators import DeepClustering
from anabranch.estimators.density import DensityEstimator

Model = DensityEstimator | DeepClustering
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
        header: whether CSV files begin with names; None for yes, checked.
    """

    paths: Sequence[Path]
    label_column: str | None = None
    classes: str | None = None
    header: bool | None = None


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


def stream(model: Model, request: Request) -> Iterator[Part]:
    """Read the columns of the model in parts, with progress on a terminal.

    Raises:
        ValueError: where the columns do not fit the model, or no row has one of the classes.
    """
    columns = columns_of(model, request)
    batch_rows = int(np.clip(BATCH_VALUES // n_features(model), MIN_ROWS, MAX_ROWS))
    tables = stream_tables(
        request.paths, columns, request.label_column, batch_rows, header=request.header
    )
    with tqdm(unit=" rows", disable=not terminal()) as bar:
        yield from _parts(model, request, tables, bar)


def read(model: Model, request: Request) -> Part:
    """Read the columns of the model from whole files."""
    columns = columns_of(model, request)
    table = read_tables(request.paths, columns, request.label_column, header=request.header)
    part = _part(model, request, 0, table)
    _require_rows(len(part.table), request)
    return part


def _parts(model: Model, request: Request, tables: Iterator[Table], bar: Any) -> Iterator[Part]:
    start, kept = 0, 0
    for table in tables:
        part = _part(model, request, start, table)
        start += len(table)
        kept += len(part.table)
        if len(part.table):
            yield part
        bar.update(len(table))
    _require_rows(kept, request)


def _part(model: Model, request: Request, start: int, table: Table) -> Part:
    numbers = np.arange(start, start + len(table))
    if request.classes is not None:
        rows = rows_of_classes(table.labels, request.classes, table.label_names)
        numbers, table = numbers[rows], take(table, rows)
    table, context = split_columns(table, context_names(model))
    return Part(numbers, framed(table.X, model_names(model)), table, context)


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


def framed(X: NDArray[np.floating], names: Sequence[str] | None) -> Any:
    """The rows as a frame where the columns have names, as they are where not."""
    if names is None:
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=list(names), copy=False)


def model_names(model: Model) -> list[str] | None:
    """Names of a model's columns, None where it was fitted to columns without names."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def context_names(model: Model) -> list[str] | None:
    """Names of the columns that a density is conditional on, None where it is not.

    Raises:
        ValueError: where they have no names, by which files could be asked for them.
    """
    conditions = getattr(model, "conditions_", None)
    if conditions is None:
        return None
    if conditions.names is None:
        raise ValueError(
            "the model was fitted given a context whose columns have no names, so that none can be "
            "found in files; fit it to frames, or by anabranch fit --context"
        )
    return conditions.names


def columns_of(model: Model, request: Request) -> list[str] | None:
    """The columns of the files that hold the columns of the model, in the model's order.

    Columns are told by name, and by place only where the model or the file has no names.

    Raises:
        ValueError: where the files lack columns, or have too few or too many without names.
    """
    found = first_columns(request.paths, request.header)
    if found is None:
        return None
    path, have, named = found
    have = [name for name in have if name != request.label_column]
    names = model_names(model)
    wanted = names or [f"x{j}" for j in range(n_features(model))]
    wanted = [*wanted, *(context_names(model) or ())]
    missing = [name for name in wanted if name not in have]
    if not missing and (names or len(have) == len(wanted)):
        _note_ignored([name for name in have if name not in wanted])
        return wanted
    if (named and names) or len(have) != len(wanted):
        raise _misfit(path, have, wanted, missing if named and names else None)
    return have


def first_columns(
    paths: Sequence[Path], header: bool | None
) -> tuple[Path, list[str], bool] | None:
    """The first file that holds rows, its columns, and whether their names are its own."""
    for path in paths:
        match detect_format(path):
            case "csv":
                return path, CsvSource(path, header).columns, header is not False
            case "parquet":
                return path, ParquetSource(path).columns, True
            case "npy":
                return path, open_npy(path).columns, False
            case "npz":
                return path, open_npz(path).columns, False
            case "idx":
                source = IdxSource(path)
                if not source.holds_labels:
                    return path, source.columns, False
    return None


def _note_ignored(names: list[str]) -> None:
    if names:
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        note(f"columns that the model does not use are ignored: {shown}")


def _misfit(
    path: Path, have: list[str], wanted: list[str], missing: list[str] | None
) -> ValueError:
    if missing is None:
        return ValueError(
            f"{path} has {len(have)} columns; the model was fitted to {len(wanted)}"
            + (" (is one of them the labels? name it by --label-column)" if len(have) > 1 else "")
        )
    shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
    return ValueError(
        f"{path} lacks {len(missing)} of the {len(wanted)} columns that the model was fitted to: "
        f"{shown}"
    )
