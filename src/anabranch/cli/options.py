"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anabranch.data.csv_text import CsvFormat


class Gaps(StrEnum):
    """What becomes of rows with missing cells where a model has no answer for them."""

    fail = "fail"
    skip = "skip"
    mark = "mark"


def standard_output(path: Path) -> Path:
    """The path that - stands for."""
    return Path("/dev/stdout") if str(path) == "-" else path


def standard_input(paths: list[Path]) -> list[Path]:
    """The paths, where - is a file of what standard input holds."""
    from anabranch.cli.piped import spooled

    return [spooled() if str(path) == "-" else path for path in paths]


Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=standard_input,
        help="CSV, TSV, Parquet, Arrow, JSON lines, XLSX, NPY, NPZ or IDX files, read as one "
        "table, or - for standard input; IDX images may come with the IDX file of their labels.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", show_default=False, help="Model file that fit has written."),
]
TableOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        show_default=False,
        callback=standard_output,
        help="File to write: .csv, .tsv, .jsonl (also .gz, .bz2, .zst), .parquet, .arrow or "
        ".feather; - for CSV on standard output.",
    ),
]
Append = Annotated[
    bool,
    typer.Option("--append", help="Write the columns of the input, too, before what is found."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
OnMissing = Annotated[
    Gaps,
    typer.Option(
        help="Rows with missing cells, of a model that does not sum them out: end with an error, "
        "leave them out, or write them without an answer."
    ),
]
Given = Annotated[
    Path | None,
    typer.Option(
        "--given",
        metavar="FILE",
        show_default=False,
        help="Table or images that hold what the density is conditional on, a row for each.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Column of known labels; blank cells and -1 are unknown.",
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Column of names of rows: no column of the data, and written beside what is found.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...", show_default=False, help="Keep only the rows with these labels."
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        show_default=False,
        help="What stands between the cells of CSV files; \\t is a tab.  [default: a comma, or a "
        "tab in .tsv files]",
    ),
]
Decimal = Annotated[
    str,
    typer.Option(metavar=".|,", help="What stands before the fraction of numbers in CSV files."),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        show_default=False,
        help="Whether CSV files begin with column names.  [default: they do]",
    ),
]


def csv_format(header: bool | None, delimiter: str | None, decimal: str) -> "CsvFormat":
    r"""The options of CSV files, as the readers take them.

    Example:
        >>> csv_format(None, r"\t", ".")["delimiter"]
        '\t'
    """
    between = None if delimiter is None else delimiter.replace("\\t", "\t")
    return {"header": header, "delimiter": between, "decimal": decimal}
