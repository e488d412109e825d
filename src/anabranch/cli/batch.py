"""`anabranch batch`: a model over folders of files, in several processes."""

from enum import StrEnum
from typing import Annotated

import typer

from anabranch.cli import options


class OnBad(StrEnum):
    """What becomes of rows that the model cannot take."""

    error = "raise"
    null = "null"


class Engine(StrEnum):
    """What makes the parts."""

    local = "local"
    ray = "ray"


def batch(
    model: options.Model,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="Files to score, folders, patterns of these in quotes, or addresses (s3://...).",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", show_default=False, help="Folder of the parts, or its address."
        ),
    ],
    outputs: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Of component, certainty, log_prob."),
    ] = "component,log_prob",
    key: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Column that is handed through."),
    ] = None,
    on_bad: Annotated[
        OnBad, typer.Option(help="Stop at rows with missing numbers, or give them none.")
    ] = OnBad.error,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    engine: Annotated[
        Engine, typer.Option(help="Processes of this machine, or tasks of a cluster of Ray.")
    ] = Engine.local,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a job, and make what is missing.")
    ] = False,
) -> None:
    """Write what a model says of each row of many files, one Parquet part for each file.

    Parts appear whole or not at all, and _manifest.json says which are done: after a kill, the same
    command with --resume makes the others. It refuses another model.
    """
    from anabranch.batch import Scorer, run_job
    from anabranch.cli.text import listing, say

    names = tuple(name.strip() for name in outputs.split(",") if name.strip())
    scorer = Scorer(model, names, key, on_bad.value)
    done = run_job(scorer, inputs, output, workers=workers, resume=resume, engine=engine.value)
    made = {"parts": f"{done.parts}, {done.made} made now", "rows": str(done.rows)}
    typer.echo(listing(made))
    say(f"wrote {output}")
