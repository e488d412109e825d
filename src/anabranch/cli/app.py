"""The program: its commands and its global options."""

import io
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from anabranch.cli import job
from anabranch.cli.batch import batch
from anabranch.cli.compress import compress
from anabranch.cli.decompress import decompress
from anabranch.cli.example import example
from anabranch.cli.explore import explore
from anabranch.cli.export import export
from anabranch.cli.fit import fit
from anabranch.cli.info import info
from anabranch.cli.models import models
from anabranch.cli.predict import predict
from anabranch.cli.report import report
from anabranch.cli.reproduce import reproduce
from anabranch.cli.sample import sample
from anabranch.cli.score import score
from anabranch.cli.serve import serve
from anabranch.cli.text import say
from anabranch.cli.tune import tune
from anabranch.version import __version__

app = typer.Typer(
    name="anabranch",
    help="Mixtures of normalizing flows: clusters of any shape, densities, samples.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_COMMANDS: tuple[Callable[..., None], ...] = (
    example,
    fit,
    tune,
    predict,
    score,
    sample,
    batch,
    export,
    serve,
    report,
    explore,
    compress,
    decompress,
    info,
    models,
    reproduce,
)
for _command in _COMMANDS:
    app.command()(job.job(_command))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anabranch {__version__}")
        raise typer.Exit


@app.callback()
def settings(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (a traceback).")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Mixtures of normalizing flows: clusters of any shape, densities, samples.

    Data are CSV, Parquet, NPY, NPZ or IDX files, plain or compressed. Log-densities are in nats,
    in the units of the data. Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
    """
    job.debug.set(debug)


def main() -> None:
    """Run the program on the arguments of the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does
    try:
        app()
    except Exception:  # with --debug
        for line in traceback.format_exc().splitlines():
            say(line, err=True)
        sys.exit(1)
