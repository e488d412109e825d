"""`anabranch fit`: from a table to a model file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from anabranch.cli import options
from anabranch.cli.settings import merge_settings, parse_settings


class Inference(StrEnum):
    """How the mixture is trained."""

    exact = "exact"
    variational = "variational"
    invariant = "invariant"


def fit(
    data: options.Data,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", show_default=False, help="Model file to write (.safetensors)."
        ),
    ],
    components: Annotated[
        str | None,
        typer.Option(
            "--components",
            "-k",
            metavar="N|auto",
            show_default=False,
            help="How many; auto begins with many and takes out those that are not worth their "
            "cost.  [default: as many as classes, one without labels]",
        ),
    ] = None,
    flow: Annotated[str, typer.Option(help="Recipe of the components.")] = "realnvp",
    flow_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=JSON", show_default=False, help="Keyword of the recipe; repeatable."
        ),
    ] = None,
    inference: Annotated[
        Inference,
        typer.Option(
            help="The mixture likelihood; the bound with q(c|x); or, for images, a q that "
            "learns from consistency alone."
        ),
    ] = Inference.exact,
    consistency: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default=False,
            help="Weight of q(c|x) saying the same of perturbed rows.  [default: 1 for invariant "
            "inference, else 0]",
        ),
    ] = None,
    perturbation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|JSON",
            show_default=False,
            help="noise, affine (images), adversarial, or an object with keywords.  [default: "
            "affine for invariant inference on images, else noise]",
        ),
    ] = None,
    label_column: options.LabelColumn = None,
    use_labels: Annotated[
        bool,
        typer.Option(
            "--use-labels/--no-use-labels",
            help="Let known labels teach the model, or only tell how well it does.",
        ),
    ] = True,
    classes: options.Classes = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...", show_default=False, help="Columns to use.  [default: all others]"
        ),
    ] = None,
    levels: Annotated[
        str,
        typer.Option(
            metavar="N|auto|none",
            help="The data are integers 0..N-1; auto means 256 for images of bytes.",
        ),
    ] = "auto",
    max_epochs: Annotated[
        int | None, typer.Option(min=0, show_default=False, help="Upper limit.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Rows per step.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default=False)] = None,
    validation_fraction: Annotated[
        float | None, typer.Option(show_default=False, help="Share of the rows held out.")
    ] = None,
    n_init: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Starts to compare.")
    ] = None,
    snapshots: Annotated[
        int | None,
        typer.Option(
            min=0,
            show_default=False,
            help="States of the training to keep in the model file, for report --animation.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The same seed, the same model.")
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="File for the state of an unfinished fit.  [default: OUTPUT.checkpoint]",
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            show_default=False,
            help="Go on with the unfinished fit in the checkpoint, with the same data and "
            "settings; or discard it.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=JSON",
            show_default=False,
            help="Any other parameter of FlowMixture; repeatable.",
        ),
    ] = None,
    verbose: Annotated[
        bool | None,
        typer.Option(
            "--verbose/--quiet", show_default=False, help="Print all settings, or nothing."
        ),
    ] = None,
    header: options.Header = None,
) -> None:
    """Fit a mixture of flows to a table.

    Writes a model file and prints a summary. Ctrl-C leaves a checkpoint; the same command with
    --resume goes on and ends with the same model.
    """
    named = {
        "n_components": _components(components),
        "flow": _flow(flow, flow_option or []),
        "inference": inference.value,
        "consistency": consistency,
        "perturbation": _perturbation(perturbation),
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation_fraction": validation_fraction,
        "n_init": n_init,
        "snapshots": snapshots,
        "random_state": seed,
        "device": device,
        "levels": _levels(levels),
        "verbose": 0 if verbose is False else 1,
    }
    # heavy, so that --help is not
    from anabranch.cli.fitting import Fit, run
    from anabranch.data.atomic import is_special

    settings = merge_settings(named, parse_settings("--set", setting or []))
    if checkpoint is None and not is_special(output):
        checkpoint = Path(f"{output}.checkpoint")
    names = None if columns is None else [name.strip() for name in columns.split(",")]

    run(
        Fit(
            data=data,
            output=output,
            columns=names,
            label_column=label_column,
            classes=classes,
            header=header,
            use_labels=use_labels,
            auto_levels=levels == "auto" and "levels" not in settings,
            settings=settings,
            checkpoint=checkpoint,
            resume=resume,
            verbose=verbose,
        )
    )


def _flow(name: str, keywords: list[str]) -> str | dict[str, Any]:
    if not keywords:
        return name
    return {"name": name, **parse_settings("--flow-option", keywords)}


def _components(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"--components {text}: expected auto or an integer from 1")
    return int(text)


def _perturbation(text: str | None) -> Any:
    if text is None or not text.lstrip().startswith("{"):
        return text
    return parse_settings("--perturbation", [f"perturbation={text}"])["perturbation"]


def _levels(text: str) -> int | None:
    if text in ("auto", "none"):
        return None
    if not text.isdecimal() or int(text) < 2:
        raise typer.BadParameter(f"--levels {text}: expected auto, none or an integer from 2")
    return int(text)
