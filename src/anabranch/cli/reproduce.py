"""`anabranch reproduce`: the published figures again."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anabranch.experiments import Outcome


class Budget(StrEnum):
    """How much may be computed."""

    cpu = "cpu"
    full = "full"


def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="The experiment.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            metavar="COUNT|SEED,SEED,...",
            help="How many, from 0 on, or which: 100,101.  [default: the experiment's]",
        ),
    ] = None,
    budget: Annotated[
        Budget, typer.Option(help="What two CPU cores can do, or the published size.")
    ] = Budget.cpu,
    out: Annotated[Path, typer.Option(help="Folder for NAME.json and pictures.")] = Path("results"),
    data: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Folder that holds mnist/, uci/, ..."),
    ] = None,
) -> None:
    """Run an experiment of the publications.

    Prints its table and figures and writes NAME.json; exits with 1 when a figure is missed.
    """
    from anabranch.cli.text import listing, say
    from anabranch.experiments import list_experiments, run_experiment

    if list_all:
        found = list_experiments()
        typer.echo(listing({key: found[key].summary for key in found}) if found else "none")
        return
    if name is None:
        raise typer.BadParameter("name an experiment, or give --list")
    wanted = _seeds(seeds)
    missed: list[str] = []

    def show(outcome: "Outcome") -> None:
        _print(outcome)
        missed.extend(figure.name for figure in outcome.figures if figure.met is False)

    path = run_experiment(
        name, seeds=wanted, budget=budget.value, out=out, data=data, on_outcome=show
    )
    say(f"wrote {path}")
    if missed:
        typer.echo(f"missed: {', '.join(missed)}", err=True)
        raise typer.Exit(1)


def _seeds(given: str | None) -> int | list[int] | None:
    """A count, or the seeds between commas; one seed alone is followed by a comma."""
    if given is None:
        return None
    parts = given.removesuffix(",").split(",")
    if all(part.isdecimal() for part in parts) and given != "0":
        return int(given) if given == parts[0] else [int(part) for part in parts]
    raise typer.BadParameter(
        f"--seeds takes a count, such as 3, or seeds, such as 100,101; got {given!r}"
    )


def _print(outcome: "Outcome") -> None:
    from anabranch.cli.text import align

    if outcome.table:
        typer.echo(outcome.table)
    marks = {True: "met", False: "MISSED", None: ""}
    rows = [[f.name, f"{f.value:.4f}", f.wanted, marks[f.met]] for f in outcome.figures]
    typer.echo(align([["figure", "value", "target", ""], *rows]))
