"""The one fit loop."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.archive import fingerprint
from anabranch.training.batches import Data
from anabranch.training.evaluation import drawing_from, evaluate
from anabranch.training.options import FitOptions
from anabranch.training.parallel import process_group, share_buffers, synchronised
from anabranch.training.result import FitResult
from anabranch.training.row_stream import RowStream, batches_of, device_of, rows_of
from anabranch.training.run import Run
from anabranch.training.run_state import Setup
from anabranch.training.schedules import Schedule
from anabranch.training.tensors import clones, copy_tensors


def fit(
    model: nn.Module,
    data: Data | RowStream,
    validation: Data | None = None,
    *,
    options: FitOptions | None = None,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    noise: torch.Generator | None = None,
    resume: bool = False,
    on_epoch: Callable[[int], Tensor | None] | None = None,
    identity: dict[str, Any] | None = None,
    stage: str | None = None,
) -> FitResult:
    """Minimise the loss of a model over data, held or not, and leave it at its best state.

    ``model(batch)`` returns a `Loss`, means over the batch. The state before the first step
    competes: a start that training only makes worse is what comes back. A step whose loss or
    gradient is not finite changes nothing and is counted; when that repeats, the last good state is
    restored with half the learning rate; when that repeats, the run stops with `DivergedWarning`.

    Under ``torchrun`` each process takes its share of every batch, and gradients are averaged
    (DistributedDataParallel): the same steps as one process with whole batches, to rounding.
    (`BatchNorm` is the exception: it sees the rows of its process only.)

    Args:
        model: an `anabranch.contracts.Objective`, or any module whose forward takes a dict of
            tensors and returns a `Loss`.
        data: tensors with equal first dimensions, on the device of the model; or a
            `anabranch.training.RowStream` of rows that are read again in each epoch.
        validation: likewise; without one, the score is the training loss.
        options: see `FitOptions`.
        schedules: see `Schedule`.
        generator: source of the row order, on the CPU; also saved in checkpoints.
        noise: source of the draws of an objective that is ``stochastic``, which is called with
            ``generator=noise`` in training and in validation alike; on the device of the model, and
            saved in checkpoints. None for one with the seed of ``generator``.
        resume: continue from ``options.checkpoint``; the run ends with the same bits as one that
            was never interrupted. ``max_epochs`` and ``patience`` may have grown since.
        on_epoch: called with the epoch number before each epoch; it may rewrite tensors of
            ``data`` in place, and return the numbers of the rows that this epoch goes through
            (repeated where they do not fill a batch); None for all. It must depend on nothing but
            the epoch and the model.
        identity: further plain values that a checkpoint must share to be resumed from.
        stage: what this fit is for, such as "pretrain": shown by the progress bar, and listed in
            the result.

    Returns:
        A `FitResult`.

    Raises:
        ValueError: for tensors of unlike lengths, no rows, fewer rows a batch than processes,
            or a checkpoint of another run.
        FileNotFoundError: where there is nothing to resume from.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint was written if one is asked for.

    Example:
        >>> from anabranch.objectives import Loss
        >>> class Mean(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.loc = nn.Parameter(torch.zeros(()))
        ...     def forward(self, batch):
        ...         return Loss((batch["x"] - self.loc).square().mean(), {})
        >>> model = Mean()
        >>> options = FitOptions(max_epochs=300, learning_rate=0.1, batch_size=4)
        >>> result = fit(model, {"x": torch.full((4,), 2.0)}, options=options)
        >>> round(model.loc.item(), 2)
        2.0
    """
    setup = Setup(
        options or FitOptions(),
        schedules,
        generator or torch.Generator(),
        noise,
        identity or {},
        stage,
    )
    run = Descent(model, data, validation, setup, on_epoch)
    if resume:
        run.load()
    return run.run()


class Descent(Run):
    """Steps down one loss."""

    losses = ("train_loss",)
    diverged = "the model keeps its best state"

    def __init__(
        self,
        model: nn.Module,
        data: Data | RowStream,
        validation: Data | None,
        setup: Setup,
        on_epoch: Callable[[int], Tensor | None] | None,
    ) -> None:
        self.validation, self.on_epoch = validation, on_epoch
        self.every_row = on_epoch is None
        group = process_group()
        size = min(setup.options.batch_size, rows_of(data))
        if size < group.size:
            raise ValueError(
                f"batch_size must be at least the number of processes, {group.size}, got {size}"
            )
        if setup.noise is None and getattr(model, "stochastic", False):
            source = torch.Generator(device_of(data))
            setup = replace(setup, noise=source.manual_seed(setup.generator.initial_seed()))
        self.drawing = drawing_from(setup.noise, model)
        super().__init__(model, [model], batches_of(data, size, group), setup)
        forward = synchronised(model) if group.size > 1 else model
        self.forward = torch.compile(forward) if setup.options.compile else forward
        self.best = clones(self.state)

    def _begin(self) -> None:
        self._evaluate()

    def _rows(self) -> Tensor | None:
        return self.on_epoch(self.epoch) if self.on_epoch is not None else None

    def _made(self) -> Data:
        return dict(self.batches.data) if self.on_epoch is not None else {}

    def _turn(self, rows: Data) -> Sequence[float] | None:
        loss = self.forward(rows, **self.drawing).total
        if self.group.size > 1:
            n_rows = len(next(iter(rows.values())))
            loss = loss * (n_rows * self.group.size / self.batches.size)
        value = self.descend(loss)
        return None if value is None else (value,)

    def _evaluate(self) -> None:
        with self.average.in_place():
            super()._evaluate()

    def _score(self, means: dict[str, float]) -> tuple[dict[str, float], float]:
        if self.validation is None:
            return means, means["train_loss"]
        share_buffers(self.module, self.group)
        options = self.options
        terms = evaluate(self.module, self.validation, options.batch_size, self.setup.noise)
        named = {f"validation_{name}": value for name, value in terms.items()}
        return {**means, **named}, options.monitored(terms)

    def _keep(self, score: float) -> None:
        # without validation data the start has no score, and any state replaces it
        if score < self.result.best_score:
            self.result.best_score, self.result.best_epoch = score, self.epoch
            copy_tensors(self.state, self.best)
            self.waited = 0
        elif self.epoch:
            self.waited += 1

    def _settle(self) -> None:
        copy_tensors(self.best, self.state)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "validation": fingerprint(self.validation or {})}
