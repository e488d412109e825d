"""What rows are given, from a file of its own: ``--given FILE``."""

from pathlib import Path
from typing import Any

from anabranch.cli.rows import framed
from anabranch.data import read_tables
from anabranch.data.csv_text import CsvFormat
from anabranch.estimators.estimator import Estimator


def read_given(model: Estimator, path: Path, csv: CsvFormat) -> Any:
    """The rows of the context that a file holds, in the model's order, as a frame with its names.

    Columns are told by name; by place where the file has as many and none of the names, as images
    in NPY files have.

    Raises:
        ValueError: where the model takes no context, or the file lacks columns of it.
    """
    if not model.context_size:
        raise ValueError("--given: the model was fitted without a context")
    table = read_tables([path], None, None, **csv)
    names = model.context_names
    if names is None or not set(names) & set(table.columns):
        if table.X.shape[1] != model.context_size:
            raise ValueError(
                f"{path} has {table.X.shape[1]} columns; the model is given {model.context_size}"
                + ("" if names is None else f", {', '.join(names[:8])}")
            )
        return framed(table.X, names)
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"{path} lacks columns that the model is given: {', '.join(missing[:8])}")
    places = [table.columns.index(name) for name in names]
    return framed(table.X[:, places], names)
