"""`anabranch fit`: from a table to a model file."""

import inspect
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anabranch.cli import options
from anabranch.cli.config import read_config, write_config
from anabranch.cli.kinds import KINDS, Kind
from anabranch.cli.settings import is_set, merge_settings, parse_settings, place

if TYPE_CHECKING:
    from anabranch.estimators.estimator import Estimator

# options that are not called as the parameters they set
OPTIONS = {"n_components": "components", "columns": "kind", "sample_weight": "weight-column"}


class Inference(StrEnum):
    """How the mixture is trained."""

    exact = "exact"
    variational = "variational"
    invariant = "invariant"


def _known_kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(KINDS)}")
    return name


def fit(
    shell: typer.Context,
    data: options.Data,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", show_default=False, help="Model file to write (.safetensors)."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="|".join(KINDS),
            callback=_known_kind,
            help="A mixture of flows, whose components are clusters; one flow; the posterior of "
            "parameters given other columns; clusters of images and long feature vectors by a "
            "Gaussian-mixture autoencoder, or by --method.",
        ),
    ] = "mixture",
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
            help="Of deep-clustering: ae+gmm, vae+gmm, dec, idec, vade, gmvae, svae, ltvae-gmm, "
            "ltvae, mixae or gmgan.  [default: idec]",
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
            'null for no bound, ["circle", P], or PLACE=["latlon", LAT, LON]; repeatable.',
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            "--context-columns",
            metavar="A,B,...",
            show_default=False,
            help="Columns that a density is conditional on, or that a posterior is given.",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="auto|COLUMN=KIND",
            show_default=False,
            help="What columns are: auto for what their values say, or real, positive, "
            '["interval", A, B], ["circle", PERIOD], count, integer, binary, category, date, '
            'constant or identifier of one column; or PLACE=["latlon", LAT, LON] of two columns; '
            "repeatable.",
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="refuse|marginal",
            show_default=False,
            help="Whether missing cells are refused or summed out.  [default: refuse]",
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
    id_column: options.IdColumn = None,
    weight_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Column of what each row counts, as if it were there so many times.",
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
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Read the rows of Parquet files and folders in each epoch, and hold few.",
        ),
    ] = False,
    sample_rows: Annotated[
        int | None,
        typer.Option(
            min=2,
            show_default=False,
            help="Rows that a streamed fit searches its start on.  [default: 100000]",
        ),
    ] = None,
    buffer_mb: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="MiB of rows that a streamed fit shuffles together.  [default: 256]",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=JSON",
            show_default=False,
            help="Any other parameter of the estimator, GROUP.KEY=JSON for one within a group; "
            "repeatable.",
        ),
    ] = None,
    verbose: Annotated[
        bool | None,
        typer.Option(
            "--verbose/--quiet", show_default=False, help="Print all settings, or nothing."
        ),
    ] = None,
    as_json: options.AsJson = False,
    config: Annotated[
        Path | None,
        typer.Option(
            is_eager=True,
            callback=read_config,
            show_default=False,
            help="TOML file of options by their long names; the command line goes before it.",
        ),
    ] = None,
    save_config: Annotated[
        Path | None,
        typer.Option(
            "--write-config",
            show_default=False,
            help="Write the options of this fit to a file that --config reads.",
        ),
    ] = None,
    header: options.Header = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = ".",
) -> None:
    """Fit a mixture of flows, one flow, or a model of deep clustering to a table.

    Writes a model file and prints a summary. Ctrl-C leaves a checkpoint; the same command with
    --resume goes on and ends with the same model.
    """
    if save_config is not None:
        from anabranch.cli.paths import check_files

        check_files(data, {"--output": output, "--write-config": save_config})
    kind = KINDS[model]
    named: dict[str, Any] = {
        "n_components": _components(components),
        "method": method,
        "inference": None if inference is None else inference.value,
        "consistency": consistency,
        "perturbation": _perturbation(perturbation),
        "support": parse_settings("--support", support or []) or None,
        "columns": _kinds(kinds),
        "missing": missing,
        "levels": _levels(levels),
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation_fraction": validation_fraction,
        "n_init": n_init,
        "snapshots": snapshots,
    }
    further = parse_settings("--set", setting or [])
    keywords = parse_settings("--flow-option", flow_option or [])
    # heavy, so that --help is not
    from anabranch.cli.fitting import run
    from anabranch.cli.request import Fit
    from anabranch.data.atomic import is_special

    estimator = kind.load()
    named["flow"] = _flow(flow, keywords, estimator)
    taught = None if estimator.takes_labels else use_labels or None
    fitted = {"context": context, "use_labels": taught, "resume": resume}
    fitted["sample_weight"] = weight_column
    _refuse(kind, estimator, named, fitted)
    if estimator.components != "searched" and components == "auto":
        raise typer.BadParameter(
            f"--components auto: {kind.phrase} takes a number; anabranch fit --model mixture can "
            "find one"
        )
    always = {"random_state": seed, "device": device, "verbose": 0 if verbose is False else 1}
    given = {place(estimator, name): value for name, value in (named | always).items()}
    settings = merge_settings({key: value for key, value in given.items() if key}, further)
    if checkpoint is None and not is_special(output) and estimator.fit_takes("resume"):
        checkpoint = Path(f"{output}.checkpoint")

    run(
        Fit(
            data=data,
            output=output,
            estimator=estimator,
            columns=_names(columns),
            context=_names(context),
            label_column=label_column,
            id_column=id_column,
            weight_column=weight_column,
            classes=classes,
            csv=options.csv_format(header, delimiter, decimal),
            use_labels=estimator.takes_labels if use_labels is None else use_labels,
            auto_levels=levels == "auto" and not _sets(settings, "levels", estimator),
            settings=settings,
            checkpoint=checkpoint,
            resume=resume,
            verbose=verbose,
            as_json=as_json,
            stream=_stream(stream, {"sample_rows": sample_rows, "buffer_mb": buffer_mb}),
        )
    )
    if save_config is not None:
        write_config(shell, save_config)


def _stream(wanted: bool, settings: dict[str, Any]) -> dict[str, Any] | None:
    given = {name: value for name, value in settings.items() if value is not None}
    if given and not wanted:
        raise typer.BadParameter(f"--{next(iter(given)).replace('_', '-')} goes with --stream")
    return given if wanted else None


def _refuse(
    kind: Kind, estimator: "type[Estimator]", settings: dict[str, Any], fitted: dict[str, Any]
) -> None:
    """Refuse options that set nothing of an estimator or of its ``fit``."""
    set_nothing = [name for name in settings if place(estimator, name) is None]
    set_nothing += [name for name in fitted if not estimator.fit_takes(name)]
    unknown = [name for name in set_nothing if (settings | fitted)[name] is not None]
    if unknown:
        shown = ", ".join("--" + OPTIONS.get(name, name).replace("_", "-") for name in unknown)
        raise typer.BadParameter(f"{kind.phrase} has no {shown}")


def _sets(settings: dict[str, Any], option: str, estimator: "type[Estimator]") -> bool:
    """Whether a setting is given already, or there is none of that name."""
    where = place(estimator, option)
    return where is None or option in settings or is_set(settings, where)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _kinds(texts: list[str] | None) -> Any:
    """Kinds of columns: "auto", or those that are given beside it."""
    given = parse_settings("--kind", [text for text in texts or [] if text != "auto"])
    return given or ("auto" if texts else None)


def _flow(
    name: str | None, keywords: dict[str, Any], estimator: "type[Estimator]"
) -> str | dict[str, Any] | None:
    if not keywords:
        return name
    flow = inspect.signature(estimator).parameters.get("flow")
    return {"name": name or (flow and flow.default), **keywords}


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
