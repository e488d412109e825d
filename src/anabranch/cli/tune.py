"""`anabranch tune`: settings found by held-out log-density."""

from pathlib import Path
from typing import Annotated, Any

import typer

from anabranch.cli.kinds import KINDS
from anabranch.cli.settings import merge_settings, parse_settings

MODELS = ("mixture", "density")


def tune(
    data: Annotated[
        list[Path],
        typer.Argument(show_default=False, help="CSV, Parquet, NPY or NPZ files of one table."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", show_default=False, help="The model file.")
    ],
    model: Annotated[str, typer.Option(help="mixture or density.")] = "mixture",
    components: Annotated[
        int | None, typer.Option("--components", "-k", min=1, show_default=False, help="K.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", show_default=False, help="Columns to use.  [default: all]"),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(show_default=False, help="Column of known labels, which teach a mixture."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Fits to try.")] = 20,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B or KEY=LOW..HIGH",
            show_default=False,
            help="What to search, repeatable; GROUP.KEY within a group; [JSON] for other choices. "
            "A range over a factor of ten or more is searched by factors.  [default: flow, "
            "learning_rate, batch_size]",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Database to keep the search in and go on with, such as sqlite:///search.db.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=JSON",
            show_default=False,
            help="A parameter of the estimator that all trials share; repeatable.",
        ),
    ] = None,
) -> None:
    """Search for settings of a mixture or a density, and fit the best to all rows.

    Each trial is fitted to the same rows, and judged by the log-density of others, in nats.
    """
    if model not in MODELS:
        raise typer.BadParameter(f"--model {model}: expected one of {', '.join(MODELS)}")
    space = {key.replace(".", "__"): values for key, values in map(_varied, vary or [])}
    further = parse_settings("--set", setting or [])
    settings = merge_settings({"n_components": components, "random_state": seed}, further)
    kind = KINDS[model].load()
    from anabranch.cli.labels import number_classes
    from anabranch.cli.paths import check_files
    from anabranch.cli.settings import check_parameters
    from anabranch.cli.text import listing, say
    from anabranch.data import read_tables
    from anabranch.estimators import save
    from anabranch.tuning import Tuner

    check_files(data, {"--output": output})
    check_parameters(kind, settings)
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    table = read_tables(data, names, label_column)
    y = None
    if table.labels is not None and kind.takes_labels:
        y, _ = number_classes(table.labels, components)
    tuner = Tuner(space or None, trials, storage=storage, random_state=seed)
    frame: Any = _frame(table.X, table.columns)
    tuned: Any = tuner.search(kind(**settings), frame, y)  # pyright: ignore[reportArgumentType]
    save(tuned.estimator, output)
    stopped = sum(value is None for _, value in tuned.trials)
    told = {
        "trials": f"{len(tuned.trials)}, {stopped} stopped early",
        "as it was": f"{tuned.untuned:.4f} nats a row held out",
        "best": f"{tuned.held_out:.4f}, {tuned.held_out - tuned.untuned:+.4f} "
        f"± {tuned.gain_error:.4f}",
        "settings": ", ".join(f"{key}={value}" for key, value in tuned.settings.items())
        or "as they were",
    }
    typer.echo(listing(told))
    say(f"wrote {output}")


def _frame(X: Any, columns: list[str]) -> Any:
    from anabranch.data.extras import pandas_module

    return pandas_module().DataFrame(X, columns=columns)


def _varied(text: str) -> "tuple[str, Any]":
    """A setting to search, and where.

    Raises:
        typer.BadParameter: for what is neither choices nor a range.
    """
    from anabranch.tuning.space import Range

    key, equals, values = text.partition("=")
    if not (key and equals and values):
        raise typer.BadParameter(f"--vary {text}: expected KEY=A,B or KEY=LOW..HIGH")
    if values.startswith("["):
        return key, parse_settings("--vary", [text])[key]
    if ".." in values:
        low, _, high = values.partition("..")
        bounds = parse_settings("--vary", [f"low={low}", f"high={high}"])
        try:
            ratio = bounds["high"] / bounds["low"] if bounds["low"] > 0 else 1.0
            return key, Range(bounds["low"], bounds["high"], log=ratio >= 10)
        except (TypeError, ValueError) as error:
            raise typer.BadParameter(f"--vary {text}: {error}") from error
    choices = [parse_settings("--vary", [f"{key}={value}"])[key] for value in values.split(",")]
    return key, choices
