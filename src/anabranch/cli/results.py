"""Answers to files: beside names of rows or all columns of the input, with or without gaps."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anabranch.cli.options import Gaps
from anabranch.cli.rows import Part, Request, row_names, take
from anabranch.data import TableWriter, read_mixed
from anabranch.estimators.estimator import Estimator

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Beside:
    """What is written beside answers.

    Attributes:
        names: column that names rows, by its name; empty for none.
        inputs: all columns of the input, as a frame; None where they are not wanted.
    """

    names: Columns
    inputs: Any = None

    @classmethod
    def of(
        cls,
        model: Estimator,
        request: Request,
        id_column: str | None,
        *,
        append: bool,
        taken: Sequence[str],
    ) -> Self:
        """Read it.

        Raises:
            ValueError: where a column is called as one of ``taken``, that are written.
        """
        if not append:
            return cls(row_names(model, request, id_column, taken))
        if id_column is not None:
            raise ValueError("--append writes all columns of the input: leave --id-column out")
        frame = read_mixed(request.paths, None, None, **request.csv).X
        twice = [str(name) for name in frame.columns if name in taken]
        if twice:
            raise ValueError(
                f"--append: the input has a column {twice[0]!r}, as a column that is written: "
                "rename it"
            )
        return cls({}, frame)


class Results:
    """Write answers part by part; beside input columns all at once, in the end.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "o.csv"
        >>> with Results(path, Beside({"id": np.array(["a", "b"])})) as results:
        ...     results.write(np.array([1]), {"component": np.array([0])})
        >>> path.read_text().split()
        ['id,component', '"b",0']
    """

    def __init__(self, path: Path, beside: Beside) -> None:
        self._writer, self._beside = TableWriter(path), beside
        self._stack = ExitStack()
        self._kept: list[tuple[NDArray[np.int64], Columns]] = []

    def __enter__(self) -> Self:
        self._stack.enter_context(self._writer)
        return self

    def write(self, numbers: NDArray[np.int64], columns: Columns) -> None:
        """Append what was found of rows of these numbers."""
        if self._beside.inputs is not None:
            self._kept.append((numbers, columns))
            return
        names = {name: values[numbers] for name, values in self._beside.names.items()}
        self._writer.write(names | columns)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and self._kept:
            self._write_inputs()
        self._stack.__exit__(kind, error, traceback)

    def _write_inputs(self) -> None:
        numbers = np.concatenate([part for part, _ in self._kept])
        frame = self._beside.inputs.iloc[numbers]
        inputs = {str(name): _cells(frame[name]) for name in frame.columns}
        found = {
            name: np.concatenate([columns[name] for _, columns in self._kept])
            for name in self._kept[0][1]
        }
        self._writer.write(inputs | found)


def _cells(column: Any) -> NDArray[Any]:
    """The cells of a column of pandas; None for what is missing among text."""
    if column.dtype.kind in "fiubM":
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()


def complete(model: Estimator, part: Part, gaps: Gaps) -> tuple[Part, NDArray[np.bool_]]:
    """The rows of a part that a model answers, and which they are, (n,).

    All where missing cells end with an error or are summed out.
    """
    every = np.ones(len(part.numbers), bool)
    if gaps is Gaps.fail or model.takes_missing:
        return part, every
    X: Any = part.X
    missing = np.asarray(X.isna() if hasattr(X, "isna") else np.isnan(X), dtype=bool)
    whole = np.asarray(~missing.any(axis=1), dtype=bool)
    if whole.all():
        return part, every
    context = None if part.context is None else part.context[whole]
    table = take(part.table, whole)
    return replace(
        part, numbers=part.numbers[whole], X=X[whole], table=table, context=context
    ), whole


def marked(columns: Mapping[str, NDArray[Any]], whole: NDArray[np.bool_]) -> Columns:
    """Answers for all rows: -1, NaN or nothing for those without one.

    Example:
        >>> marked({"component": np.array([2])}, np.array([False, True]))["component"]
        array([-1,  2])
    """
    filled = {}
    for name, values in columns.items():
        blank = {"i": -1, "f": np.nan}.get(values.dtype.kind, "")
        filled[name] = np.full(len(whole), blank, dtype=values.dtype)
        filled[name][whole] = values
    return filled
