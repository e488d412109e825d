"""`anabranch info`: what a model file or a compressed file holds."""

import json
from typing import Annotated, Any

import typer

from anabranch.cli import options


def info(
    model: options.Model,
    clusters: Annotated[
        bool,
        typer.Option(
            "--clusters",
            help="Of a compressed file: count the images of each cluster, which needs no model.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a model file holds: its recipe, settings, sizes, weights, score and versions.

    Of a file that compress has written, show what is in it, its rate and its model; of one that a
    coder with several components has written, with --clusters how many images each has coded.
    """
    import numpy as np

    from anabranch.cli.text import listing
    from anabranch.coding import describe_file, file_components, is_compressed
    from anabranch.estimators.files import describe

    found = describe_file(model) if is_compressed(model) else describe(model)
    facts = {"file": str(model)} | found
    if clusters:
        if not is_compressed(model):
            raise ValueError(f"--clusters: {model} is no file that compress has written")
        counts = np.bincount(file_components(model))
        facts["clusters"] = {str(k): int(count) for k, count in enumerate(counts)}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(listing({key: _shown(value) for key, value in facts.items()}))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list) and value and all(isinstance(item, float) for item in value):
        return " ".join(f"{item:.4f}" for item in value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={json.dumps(item)}" for key, item in value.items())
    return "-" if value is None else str(value)
