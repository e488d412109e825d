"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="CSV, Parquet, NPY, NPZ or IDX files, read as one table; IDX images may come with "
        "the IDX file of their labels.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", show_default=False, help="Model file that fit has written."),
]
TableOutput = Annotated[
    Path,
    typer.Option("--output", "-o", show_default=False, help="File to write: .csv or .parquet."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Column of known labels; blank cells and -1 are unknown.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...", show_default=False, help="Keep only the rows with these labels."
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        show_default=False,
        help="Whether CSV files begin with column names.  [default: they do]",
    ),
]
