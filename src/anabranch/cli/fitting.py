"""What `anabranch fit` does once its arguments are understood."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from anabranch.cli.checkpoints import checkpoint_files, prepare_checkpoint
from anabranch.cli.labels import number_classes, rows_of_classes
from anabranch.cli.rows import first_columns, framed, split_columns, take
from anabranch.cli.settings import check_parameters
from anabranch.cli.summary import summary
from anabranch.cli.text import listing
from anabranch.data import Table, read_tables
from anabranch.data.atomic import check_output
from anabranch.estimators import DeepClustering, DeepMixture, FlowDensity, FlowMixture, save
from anabranch.estimators.stages import fit_stages
from anabranch.models import build

BYTE_LEVELS = 256
# perturbations, networks and flows that have to know the shape of the images, and where they are
OF_IMAGES = ("affine", "conv", "conv_realnvp")
PARTS = ("perturbation", "posterior", "flow", "trunk", "network", "classifier")

Estimator = FlowMixture | FlowDensity | DeepMixture | DeepClustering
KINDS: dict[str, type[Estimator]] = {
    "mixture": FlowMixture,
    "density": FlowDensity,
    "deep-mixture": DeepMixture,
    "deep-clustering": DeepClustering,
}
DEEP = ("deep-mixture", "deep-clustering")


@dataclass(frozen=True)
class Fit:
    """The arguments of the command, understood.

    Attributes:
        data: files to read as one table.
        output: the model file.
        kind: one of ``KINDS``.
        columns: columns to use; None for all but the labels and the context.
        context: columns that a density is conditional on; None for none.
        label_column: column of known labels.
        classes: labels to keep, with commas between.
        header: whether CSV files begin with names; None for yes, checked.
        use_labels: whether labels teach the model.
        auto_levels: whether images of bytes are taken as integers.
        settings: parameters of the estimator.
        checkpoint: file for the state of an unfinished fit; None for none.
        resume: True to go on, False to discard an unfinished fit, None to ask.
        verbose: True to print all settings, False to print nothing.
    """

    data: Sequence[Path]
    output: Path
    kind: str
    columns: Sequence[str] | None
    context: Sequence[str] | None
    label_column: str | None
    classes: str | None
    header: bool | None
    use_labels: bool
    auto_levels: bool
    settings: Mapping[str, Any]
    checkpoint: Path | None
    resume: bool | None
    verbose: bool | None

    @property
    def staged(self) -> bool:
        """Whether the fit has stages, each with a checkpoint of its own."""
        return self.kind in DEEP


def run(request: Fit) -> None:
    """Fit, save, remove the checkpoint, and print a summary.

    Raises:
        KeyboardInterrupt: on Ctrl-C, with a message that names the checkpoint where there is one.
    """
    estimator = _estimator(request)
    whole = _read(request)
    table, context = split_columns(whole, request.context)
    if request.auto_levels and _holds_bytes(table):
        estimator.levels = BYTE_LEVELS
    if table.image_shape is not None:
        _tell_image_shape(estimator, table.image_shape)
    if request.staged:
        _count_components(request, table, estimator)
    targets, numbers = _targets(request, table, estimator)
    for name in ("flow", "trunk"):
        check_flow(getattr(estimator, name, None), table.X.shape[1])
    X = framed(table.X, _names(request, table))
    started = time.perf_counter()
    try:
        _fit(request, estimator, X, targets, context)
        seconds = time.perf_counter() - started
        _save(request, estimator)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_where_to_go_on(request)) from None
    if request.verbose is not False:
        typer.echo(listing(summary(request, estimator, table, X, numbers, seconds)))


def check_flow(flow: Any, features: int) -> None:
    """Find out at once, not after the search for a start, that a recipe cannot be built.

    Raises:
        ValueError: for an unknown recipe or a wrong value.
        TypeError: for an unknown keyword.
    """
    for spec in flow if isinstance(flow, list) else [flow]:
        if spec is None:  # a Gaussian
            continue
        keywords = {"name": spec} if isinstance(spec, str) else dict(spec)
        try:
            build(**{"seed": 0, **keywords}, features=features, batch_shape=(1,))
        except (TypeError, ValueError) as error:
            raise type(error)(f"flow {json.dumps(spec)}: {error}") from error


def _tell_image_shape(estimator: Estimator, shape: tuple[int, ...]) -> None:
    """Files of images know their shape: parts that need it and were not told are told."""
    settings = estimator.get_params(deep=False)
    if "invariant" in (settings.get("inference"), settings.get("init_params")):
        estimator.set_params(perturbation=settings["perturbation"] or "affine")
    for name in PARTS:
        if name in settings:
            setattr(estimator, name, _with_image_shape(getattr(estimator, name), shape))


def _with_image_shape(spec: Any, shape: tuple[int, ...]) -> Any:
    named = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(named, dict) or named.get("name") not in OF_IMAGES:
        return spec
    return {"image_shape": list(shape), **named}


def check_device(name: str) -> None:
    """Raise ValueError where torch cannot compute on a device."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used: {reason}") from error


def _estimator(request: Fit) -> Estimator:
    """The estimator, after all that can be checked before the data are read."""
    kind = KINDS[request.kind]
    check_parameters(kind, request.settings)
    mixture = kind(**request.settings)
    check_device(mixture.device)
    check_output(request.output)
    further = mixture.fit_options or {}
    if not isinstance(further, dict) or "checkpoint" in further:
        raise TypeError("--set fit_options must be an object; its checkpoint is --checkpoint")
    if request.checkpoint is not None:
        check_output(request.checkpoint)
        prepare_checkpoint(request.checkpoint, resume=request.resume, staged=request.staged)
    elif request.resume:
        raise ValueError("--resume needs a --checkpoint, which output to a device has not")
    return mixture


def _read(request: Fit) -> Table:
    columns = request.columns
    if columns is not None:
        columns = [*columns, *(name for name in request.context or () if name not in columns)]
    table = read_tables(request.data, columns, request.label_column, header=request.header)
    if request.classes is None:
        return table
    table = take(table, rows_of_classes(table.labels, request.classes, table.label_names))
    if not len(table):
        raise ValueError(f"no row has one of the labels {request.classes}")
    return table


def _names(request: Fit, table: Table) -> list[str] | None:
    """The names of the columns where they are names, not only their places."""
    found = first_columns(request.data, request.header)
    numbered = [f"x{j}" for j in range(table.X.shape[1])]
    named = found is not None and found[2]
    return table.columns if named or table.columns != numbered else None


def _holds_bytes(table: Table) -> bool:
    X = table.X
    if table.image_shape is None or not np.isfinite(X).all():
        return False
    return bool((X.min() >= 0) & (X.max() < BYTE_LEVELS) & (np.floor(X) == X).all())


def _count_components(request: Fit, table: Table, estimator: Any) -> None:
    """Where their number is not given, there are as many as classes."""
    if request.settings.get("n_components") is not None:
        return
    labels = np.empty(0, np.int64) if table.labels is None else table.labels
    if not (labels >= 0).any():
        raise ValueError("--components is needed: there are no labels that say how many there are")
    estimator.n_components = len(np.unique(labels[labels >= 0]))


def _targets(
    request: Fit, table: Table, mixture: Estimator
) -> tuple[NDArray[np.int64] | None, dict[int, int]]:
    if table.labels is None or not request.use_labels:
        return None, {}
    if isinstance(mixture, FlowDensity | DeepClustering):  # which learn from none
        return None, {}
    if mixture.n_components == "auto":
        raise ValueError(
            "--components auto finds clusters without labels: add --no-use-labels to keep them for "
            "the summary only"
        )
    wanted: Any = mixture.n_components
    return number_classes(table.labels, wanted)


def _fit(request: Fit, mixture: Estimator, X: Any, targets: Any, context: Any) -> None:
    further = mixture.fit_options
    if request.checkpoint is not None:
        mixture.fit_options = {**(further or {}), "checkpoint": str(request.checkpoint)}
    try:
        if request.staged:
            fit_stages(mixture, X, targets, resume=bool(request.resume))
            return
        given: dict[str, Any] = {} if context is None else {"context": context}
        mixture.fit(X, targets, **given, resume=bool(request.resume))
    finally:
        # the model file does not tell where its checkpoint was
        mixture.fit_options = further


def _where_to_go_on(request: Fit) -> str:
    files = checkpoint_files(request.checkpoint, staged=request.staged)
    if not files:
        begun = "no state of the fit was kept" if request.staged else "training had not begun"
        return f"{begun}; nothing was written"
    return (
        f"the state of the fit is in {', '.join(map(str, files))}; the same command with --resume "
        "goes on with it"
    )


def _save(request: Fit, mixture: Estimator) -> None:
    files = checkpoint_files(request.checkpoint, staged=request.staged)
    try:
        save(mixture, request.output)
    except OSError as error:
        if not files:
            raise
        raise OSError(
            f"{error}; the finished fit is kept in {', '.join(map(str, files))}: once there is "
            "room, the same command with --resume writes the model"
        ) from error
    for file in files:
        file.unlink(missing_ok=True)
