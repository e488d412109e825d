"""What `anabranch fit` does once its arguments are understood."""

import json
import time
import warnings
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from anabranch.cli.checkpoints import prepare_checkpoint
from anabranch.cli.columns import first_source
from anabranch.cli.images import BYTE_LEVELS, for_images, holds_bytes
from anabranch.cli.labels import number_classes, rows_of_classes
from anabranch.cli.paths import check_files
from anabranch.cli.request import Fit
from anabranch.cli.rows import framed, split_columns, split_weights, take
from anabranch.cli.settings import check_parameters, check_recipes, place, put
from anabranch.cli.streaming import streamed_rows, streamed_summary
from anabranch.cli.summary import summary, told_facts
from anabranch.cli.text import listing
from anabranch.data import Table, read_mixed, read_tables
from anabranch.data.atomic import check_output, is_special
from anabranch.data.formats import ENDINGS
from anabranch.data.locks import locked
from anabranch.data.source import numbered_columns
from anabranch.estimators import save
from anabranch.estimators.estimator import Estimator
from anabranch.training.agreement import launched_processes, wait_for_all
from anabranch.training.devices import usable_device


def run(request: Fit) -> None:
    """Fit, save, remove the checkpoint, and print a summary.

    Raises:
        OSError: where another process writes the model or the checkpoint.
        KeyboardInterrupt: on Ctrl-C, with a message that names the checkpoint where there is one.
    """
    with ExitStack() as held:
        first = held.enter_context(launched_processes()).rank == 0
        for path in (request.output, request.checkpoint) if first else ():
            if path is not None and not is_special(path):
                check_output(path)
                held.enter_context(locked(path))
        if not first:  # which hears and says nothing that the first does not
            warnings.simplefilter("ignore")
        _run(request, first=first)


def _run(request: Fit, *, first: bool) -> None:
    if first:
        _check(request)
    wait_for_all()
    if request.stream is not None:
        _run_streamed(request, first=first)
        return
    table, weights = split_weights(_read(request), request.weight_column)
    table, context = split_columns(table, request.context)
    settings = _settings(request, table)
    targets, numbers = _targets(request, table, settings.get("n_components"))
    estimator = request.estimator(**settings)
    X = framed(table.X, _names(request, table))
    given = {} if context is None else {"context": context}
    if weights is not None:
        given["sample_weight"] = weights
    started = time.perf_counter()
    try:
        estimator.fit_keeping_checkpoint(X, targets, **given, resume=bool(request.resume))
        seconds = time.perf_counter() - started
        if not first:
            return
        if targets is not None:
            _name_classes(estimator, table, numbers)
        _save(request, estimator)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_where_to_go_on(request)) from None
    if request.as_json:
        told = told_facts(request, estimator, table, X)
        typer.echo(json.dumps(told | {"seconds": seconds}))
    elif request.verbose is not False:
        typer.echo(listing(summary(request, estimator, table, X, numbers, seconds)))


def _run_streamed(request: Fit, *, first: bool) -> None:
    rows = streamed_rows(request)
    estimator = request.estimator(**_with_checkpoint(request, deepcopy(dict(request.settings))))
    started = time.perf_counter()
    try:
        estimator.fit_keeping_checkpoint(rows, resume=bool(request.resume))  # pyright: ignore
        seconds = time.perf_counter() - started
        if first:
            _save(request, estimator)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_where_to_go_on(request)) from None
    if first and request.as_json:
        facts = {"rows": len(rows), **estimator.facts(), "model": str(request.output)}
        typer.echo(json.dumps(facts | {"seconds": seconds}))
    elif first and request.verbose is not False:
        typer.echo(listing(streamed_summary(request, estimator, rows, seconds)))


def _check(request: Fit) -> None:
    """All that can be checked before the data are read."""
    settings = request.settings
    check_parameters(request.estimator, settings)
    for name in ("flow", "trunk"):
        check_recipes(name, settings.get(name))
    check_device(settings.get("device", "cpu"))
    further = settings.get("fit_options") or {}
    if not isinstance(further, dict) or "checkpoint" in further:
        raise TypeError("--set fit_options must be an object; its checkpoint is --checkpoint")
    log = further.get("log_path")
    outputs = {
        "--output": request.output,
        "--checkpoint": request.checkpoint,
        "--set fit_options.log_path": Path(log) if isinstance(log, str) else None,
    }
    check_files(request.data, outputs)
    if request.output.name.lower().endswith(tuple(ENDINGS)):
        raise ValueError(f"--output {request.output} ends like a table, not a model")
    if request.checkpoint is not None:
        prepare_checkpoint(request.checkpoint, request.estimator, resume=request.resume)
    elif request.resume:
        raise ValueError("--resume needs a --checkpoint, which output to a device has not")


def check_device(name: str) -> None:
    """Raise ValueError where torch cannot compute on a device."""
    try:
        usable_device(name)
    except ValueError as error:
        raise ValueError(f"--device {name} cannot be used: {error}") from error


def _read(request: Fit) -> Table:
    columns = request.columns
    source = first_source(request.data, request.csv) if request.id_column else None
    if source is not None:
        if request.id_column not in source.columns:
            raise ValueError(
                f"--id-column names {request.id_column!r}; the columns are "
                + ", ".join(source.columns[:10])
            )
        left = (request.id_column, request.label_column)
        columns = columns or [name for name in source.columns if name not in left]
    if columns is not None:
        others = [
            *(request.context or ()),
            *([request.weight_column] * bool(request.weight_column)),
        ]
        columns = [*columns, *(name for name in others if name not in columns)]
    read = read_mixed if request.is_mixed else read_tables
    table = read(request.data, columns, request.label_column, **request.csv)
    if request.classes is None:
        return table
    table = take(table, rows_of_classes(table.labels, request.classes, table.label_names))
    if not len(table):
        raise ValueError(f"no row has one of the labels {request.classes}")
    return table


def _settings(request: Fit, table: Table) -> dict[str, Any]:
    """The settings that were given, and those that follow from the table."""
    settings: dict[str, Any] = deepcopy(dict(request.settings))
    if request.auto_levels and not request.is_mixed and holds_bytes(table):
        put(settings, place(request.estimator, "levels") or "levels", BYTE_LEVELS)
    if table.image_shape is not None:
        settings = for_images(request.estimator, settings, table.image_shape)
    if request.estimator.components == "required" and settings.get("n_components") is None:
        settings["n_components"] = _count_classes(table)
    return _with_checkpoint(request, settings)


def _with_checkpoint(request: Fit, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the place of the checkpoint, where there is one."""
    if request.checkpoint is None:
        return settings
    further = settings.get("fit_options") or {}
    return settings | {"fit_options": {**further, "checkpoint": str(request.checkpoint)}}


def _count_classes(table: Table) -> int:
    """Where their number is not given, there are as many clusters as classes."""
    labels = np.empty(0, np.int64) if table.labels is None else table.labels
    if not (labels >= 0).any():
        raise ValueError("--components is needed: there are no labels that say how many there are")
    return len(np.unique(labels[labels >= 0]))


def _names(request: Fit, table: Table) -> list[str] | None:
    """The names of the columns where they are names, not only their places."""
    source = first_source(request.data, request.csv)
    named = source is not None and source.has_own_names
    return table.columns if named or table.columns != numbered_columns(table.X.shape[1]) else None


def _targets(
    request: Fit, table: Table, n_components: Any
) -> tuple[NDArray[np.int64] | None, dict[int, int]]:
    if table.labels is None or not (request.use_labels and request.estimator.takes_labels):
        return None, {}
    if n_components == "auto":
        raise ValueError(
            "--components auto finds clusters without labels: add --no-use-labels to keep them for "
            "the summary only"
        )
    return number_classes(table.labels, n_components)


def _name_classes(estimator: Estimator, table: Table, numbers: dict[int, int]) -> None:
    """Let the model know what the file calls the classes of its components."""
    names = table.label_names
    if numbers:
        estimator.name_classes([label if names is None else names[label] for label in numbers])
    elif names is not None:
        estimator.name_classes(names)


def _where_to_go_on(request: Fit) -> str:
    files = request.checkpoint_files()
    if not files:
        return "no state of the fit was kept; nothing was written"
    return (
        f"the state of the fit is in {', '.join(map(str, files))}; the same command with --resume "
        "goes on with it"
    )


def _save(request: Fit, estimator: Estimator) -> None:
    files = request.checkpoint_files()
    try:
        save(estimator, request.output)
    except OSError as error:
        if not files:
            raise
        raise OSError(
            f"{error}; the finished fit is kept in {', '.join(map(str, files))}: once there is "
            "room, the same command with --resume writes the model"
        ) from error
    for file in files:
        file.unlink(missing_ok=True)
