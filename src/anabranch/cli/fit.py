"""`anabranch fit`: from a table to a model file."""

import inspect
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from anabranch.cli import options
from anabranch.cli.settings import merge_settings, parse_settings

# options that are not called as the parameters they set
OPTIONS = {"n_components": "components"}
# what is fitted, in sentences
PHRASES = {
    "mixture": "a mixture",
    "density": "a density",
    "deep-mixture": "a deep mixture",
    "deep-clustering": "deep clustering",
}


class Kind(StrEnum):
    """What is fitted."""

    mixture = "mixture"
    density = "density"
    deep_mixture = "deep-mixture"
    deep_clustering = "deep-clustering"


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
    kind: Annotated[
        Kind,
        typer.Option(
            "--model",
            help="A mixture of flows, whose components are clusters; one flow; clusters of images "
            "and long feature vectors by a Gaussian-mixture autoencoder, or by --method.",
        ),
    ] = Kind.mixture,
    components: Annotated[
        str | None,
        typer.Option(
            "--components",
            "-k",
            metavar="N|auto",
            show_default=False,
            help="How many; auto begins with many and takes out those that are not worth their "
            "cost.  [default: as many as classes; without labels one, or, of a deep model, none]",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Of deep-clustering: ae+gmm, vae+gmm, dec, idec, vade, gmvae, ltvae-gmm, ltvae, "
            "mixae or gmgan.  [default: idec]",
        ),
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Recipe of the components, or of the one flow.  [default: realnvp; nsf for a "
            "density]",
        ),
    ] = None,
    flow_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=JSON", show_default=False, help="Keyword of the recipe; repeatable."
        ),
    ] = None,
    support: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=SUPPORT",
            show_default=False,
            help="Where a column of a density lives: positive, unit, angle, [LOWER, UPPER] with "
            'null for no bound, or {"period": P}; repeatable.',
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            show_default=False,
            help="Columns that a density is conditional on.",
        ),
    ] = None,
    inference: Annotated[
        Inference | None,
        typer.Option(
            show_default=False,
            help="The mixture likelihood; the bound with q(c|x); or, for images, a q that "
            "learns from consistency alone.  [default: exact]",
        ),
    ] = None,
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
        bool | None,
        typer.Option(
            "--use-labels/--no-use-labels",
            show_default=False,
            help="Let known labels teach the model, or only tell how well it does.  [default: "
            "teach a mixture; deep-clustering learns from none]",
        ),
    ] = None,
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
            help="File for the state of an unfinished fit; those of the deep models have the name "
            "of a stage behind.  [default: OUTPUT.checkpoint]",
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
            help="Any other parameter of FlowMixture, FlowDensity, DeepMixture or DeepClustering; "
            "repeatable.",
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
    """Fit a mixture of flows, one flow, or a model of deep clustering to a table.

    Writes a model file and prints a summary. Ctrl-C leaves a checkpoint; the same command with
    --resume goes on and ends with the same model.
    """
    named: dict[str, Any] = {
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation_fraction": validation_fraction,
        "n_init": n_init,
        "random_state": seed,
        "device": device,
        "levels": _levels(levels),
        "verbose": 0 if verbose is False else 1,
    }
    named |= {
        "n_components": _components(components, kind),
        "method": method,
        "inference": None if inference is None else inference.value,
        "consistency": consistency,
        "perturbation": _perturbation(perturbation),
        "snapshots": snapshots,
        "support": parse_settings("--support", support or []) or None,
        "flow": _flow(flow, flow_option or [], kind),
    }
    settings = merge_settings(named, parse_settings("--set", setting or []))
    # heavy, so that --help is not
    from anabranch.cli.fitting import KINDS, Fit, run
    from anabranch.data.atomic import is_special

    untaught = use_labels if kind in (Kind.density, Kind.deep_clustering) else None
    _refuse(kind, KINDS[kind.value], named | {"context": context, "use_labels": untaught or None})
    if checkpoint is None and not is_special(output):
        checkpoint = Path(f"{output}.checkpoint")

    run(
        Fit(
            data=data,
            output=output,
            kind=kind.value,
            columns=_names(columns),
            context=_names(context),
            label_column=label_column,
            classes=classes,
            header=header,
            use_labels=kind is not Kind.deep_clustering if use_labels is None else use_labels,
            auto_levels=levels == "auto" and "levels" not in settings,
            settings=settings,
            checkpoint=checkpoint,
            resume=resume,
            verbose=verbose,
        )
    )


def _refuse(kind: Kind, estimator: type, given: dict[str, Any]) -> None:
    """Refuse options that set nothing of an estimator or of its ``fit``."""
    functions: Any = (estimator, estimator.fit)  # pyright: ignore[reportAttributeAccessIssue]
    known = {name for function in functions for name in inspect.signature(function).parameters}
    options = [
        "--" + OPTIONS.get(name, name).replace("_", "-")
        for name, value in given.items()
        if value is not None and name not in known
    ]
    if options:
        raise typer.BadParameter(f"{PHRASES[kind.value]} has no {', '.join(options)}")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _flow(name: str | None, keywords: list[str], kind: Kind) -> str | dict[str, Any] | None:
    if not keywords:
        return name
    default = "nsf" if kind is Kind.density else "realnvp"
    return {"name": name or default, **parse_settings("--flow-option", keywords)}


def _components(text: str | None, kind: Kind) -> int | str | None:
    if text is None or (text == "auto" and kind in (Kind.mixture, Kind.density)):
        return text
    if text == "auto":
        raise typer.BadParameter(
            f"--components auto: {PHRASES[kind.value]} takes a number; anabranch fit --model "
            "mixture can find one"
        )
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
