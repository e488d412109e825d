"""`anabranch export`: a model as a program for other runtimes."""

from pathlib import Path
from typing import Annotated

import typer

from anabranch.cli import options


def export(
    model: options.Model,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            show_default=False,
            help="File to write: .pt2 for torch.export, .onnx for ONNX.",
        ),
    ],
) -> None:
    """Write what a model says of rows as a program that needs no anabranch.

    It takes rows in the units of the data, batches of any size, and gives their log-densities and
    posteriors. Before the file is written, the program is compared with the model on 1000 rows.
    """
    from anabranch.cli.paths import check_files
    from anabranch.cli.text import listing, say
    from anabranch.estimators import load
    from anabranch.export import export_model

    check_files([model], {"--output": output})
    done = export_model(load(model), output)
    facts = {f"takes {name}": _shape(shape) for name, shape in done.inputs.items()}
    facts |= {f"gives {name}": _shape(shape) for name, shape in done.outputs.items()}
    errors = ", ".join(f"{name} {error:.1e}" for name, error in done.errors.items())
    typer.echo(listing(facts | {"checked": f"{done.rows} rows, largest difference: {errors}"}))
    say(f"wrote {output}")


def _shape(sizes: list[int | str]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
