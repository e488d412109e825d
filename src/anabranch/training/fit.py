"""The one fit loop."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.archive import fingerprint
from anabranch.training.allocation import kept_memory
from anabranch.training.checkpoint import load_checkpoint, save_checkpoint
from anabranch.training.interrupt import deferred_interrupt
from anabranch.training.logs import Logs
from anabranch.training.options import FitOptions
from anabranch.training.parallel import (
    local_rows,
    mean_over_processes,
    process_group,
    share_buffers,
    synchronised,
)
from anabranch.training.precision import matrix_products
from anabranch.training.schedules import Schedule
from anabranch.training.threads import threads_for

Data = dict[str, Tensor]


class DivergedWarning(UserWarning):
    """A run met non-finite steps again and again, and was stopped at its best state."""


@dataclass
class FitResult:
    """What a fit did.

    Attributes:
        history: one dict per evaluation: epoch, step, train_loss, validation_* terms, schedules.
        best_score: lowest validation score; the model is left in that state.
        best_epoch: when it was reached; 0 is the state before the first step.
        steps: optimiser steps taken.
        skipped_steps: steps with a non-finite loss or gradient, which changed nothing.
        rollbacks: how often the last good state was restored.
        stopped: "max_epochs", "patience" or "diverged".
        seconds: duration, over all resumed parts.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = math.inf
    best_epoch: int = 0
    steps: int = 0
    skipped_steps: int = 0
    rollbacks: int = 0
    stopped: str = "max_epochs"
    seconds: float = 0.0


def fit(
    model: nn.Module,
    data: Data,
    validation: Data | None = None,
    *,
    options: FitOptions | None = None,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    noise: torch.Generator | None = None,
    resume: bool = False,
    on_epoch: Callable[[int], Tensor | None] | None = None,
    identity: dict[str, Any] | None = None,
) -> FitResult:
    """Minimise the loss of a model over data held in memory, and leave it at its best state.

    ``model(batch)`` returns a `Loss`, means over the batch. The state before the first step
    competes: a start that training only makes worse is what comes back. A step whose loss or
    gradient is not finite changes nothing and is counted; when that repeats, the last good state is
    restored with half the learning rate; when that repeats, the run stops with `DivergedWarning`.

    Under ``torchrun`` each process takes its share of every batch, and gradients are averaged
    (DistributedDataParallel): the same steps as one process with whole batches, to rounding.
    (`BatchNorm` is the exception: it sees the rows of its process only.)

    Args:
        model: any module whose forward takes a dict of tensors and returns a `Loss`.
        data: tensors with equal first dimensions, on the device of the model.
        validation: likewise; without one, the score is the training loss.
        options: see `FitOptions`.
        schedules: see `Schedule`.
        generator: source of the row order, on the CPU; also saved in checkpoints.
        noise: source of the draws of an objective that is ``stochastic``, which is called with
            ``generator=noise`` in training and in validation alike; on the device of the model, and
            saved in checkpoints. None for torch's own source, whose state nothing keeps.
        resume: continue from ``options.checkpoint``; the run ends with the same bits as one that
            was never interrupted.
        on_epoch: called with the epoch number before each epoch; it may rewrite tensors of
            ``data`` in place, and return the numbers of the rows that this epoch goes through
            (repeated where they do not fill a batch); None for all. It must depend on nothing but
            the epoch and the model.
        identity: further plain values that a checkpoint must share to be resumed from.

    Returns:
        A `FitResult`.

    Raises:
        ValueError: for tensors of unlike lengths, no rows, fewer rows a batch than processes, or
            a checkpoint of another run.
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
    options = options or FitOptions()
    loop = _Loop(
        model, data, validation, options, schedules, (generator, noise), on_epoch, identity
    )
    if resume:
        loop.load()
    return loop.run()


class _Loop:
    """The state of a run, and the steps that change it."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        validation: Data | None,
        options: FitOptions,
        schedules: Sequence[Schedule],
        sources: tuple[torch.Generator | None, torch.Generator | None],
        on_epoch: Callable[[int], Tensor | None] | None,
        identity: dict[str, Any] | None,
    ) -> None:
        self.model, self.data, self.validation = model, data, validation
        self.options, self.schedules, self.on_epoch = options, list(schedules), on_epoch
        self.generator = sources[0] if sources[0] is not None else torch.Generator()
        self.noise = sources[1]
        self.n_rows = _n_rows(data)
        self.batch_size = min(options.batch_size, self.n_rows)
        self.group = process_group()
        if self.batch_size < self.group.size:
            raise ValueError(
                f"batch_size must be at least the number of processes, {self.group.size}, "
                f"got {self.batch_size}"
            )
        self.result = FitResult()
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.trained = [p.detach() for p in self.parameters]  # the same memory, no gradients
        self.optimizer = torch.optim.AdamW(
            self.parameters, options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        forward = synchronised(model) if self.group.size > 1 else model
        self.forward = torch.compile(forward) if options.compile else forward
        self.drawing = drawing_from(self.noise, model)
        self.state = [*model.parameters(), *model.buffers()]
        self.best = [t.detach().clone() for t in self.state]
        self.good = [t.detach().clone() for t in self.state]
        self.average = [p.detach().clone() for p in self.parameters] if options.average else []
        self.epoch = self.batch = 0
        self.order: Tensor | None = None
        self.waited = self.skipped_in_row = self.evaluated_at = 0
        self.loss_sum, self.loss_count = 0.0, 0
        self.identity = self._identity(identity or {}) if options.checkpoint is not None else {}

    def run(self) -> FitResult:
        """Run all epochs, whatever ends them."""
        started = time.perf_counter() - self.result.seconds
        self.logs = Logs(self.options, self.group.rank)
        try:
            size = self.batch_size * sum(p.numel() for p in self.parameters)
            with (
                threads_for(size),
                matrix_products(self.options.matmul, self.model, self.batch_size),
                kept_memory(),
                deferred_interrupt(enabled=self.options.checkpoint is not None) as interrupted,
            ):
                self._epochs(started, interrupted)
        finally:
            self.logs.close()
            self.model.eval()
        self._restore(self.best)
        self.result.seconds = time.perf_counter() - started
        if self.result.stopped == "diverged":
            warnings.warn(
                f"training diverged at step {self.result.steps}: {self.result.skipped_steps} steps "
                "were not finite; the model keeps its best state. Lower learning_rate",
                DivergedWarning,
                stacklevel=4,
            )
        return self.result

    def _epochs(self, started: float, interrupted: Callable[[], bool]) -> None:
        if self.epoch == 0 and self.batch == 0:
            self._evaluate()
        while self.epoch < self.options.max_epochs and not self._finished():
            if self.order is None:
                self._begin_epoch()
            assert self.order is not None
            while self.batch < len(self.order) // self.batch_size:
                self._step()
                if interrupted():
                    self._save(started)
                    raise KeyboardInterrupt
                if self.result.steps % self.options.checkpoint_steps == 0:
                    self._save(started)
                if self.result.stopped == "diverged":
                    return
            self._end_epoch()
        self._save(started)
        if interrupted():  # during the last evaluation: whoever called may have more to do
            raise KeyboardInterrupt

    def _begin_epoch(self) -> None:
        rows = self.on_epoch(self.epoch) if self.on_epoch is not None else None
        n_rows = self.n_rows if rows is None else len(rows)
        order = torch.randperm(n_rows, generator=self.generator)
        if rows is not None:
            order = _filled(rows.to(order.device)[order], self.batch_size)
        self.order = order
        self.model.train()

    def _end_epoch(self) -> None:
        self.epoch += 1
        self.batch, self.order, self._shuffled = 0, None, None
        enough = self.result.steps - self.evaluated_at >= self.options.min_evaluation_steps
        if enough or self.epoch == self.options.max_epochs:
            self._evaluate()

    def _rows(self) -> Data:
        """The rows of the present batch; each epoch's rows are gathered once and then sliced."""
        if self._shuffled is None:
            assert self.order is not None
            self._shuffled = {k: v[self.order.to(v.device)] for k, v in self.data.items()}
        start = self.batch * self.batch_size
        rows = local_rows(start, self.batch_size, self.group)
        return {name: tensor[rows] for name, tensor in self._shuffled.items()}

    _shuffled: Data | None = None

    def _step(self) -> None:
        for schedule in self.schedules:
            schedule.on_step(self.result.steps)
        batch = self._rows()
        self.batch += 1
        self.result.steps += 1
        self.optimizer.zero_grad()
        loss = self.forward(batch, **self.drawing).total
        if self.group.size > 1:
            rows = len(next(iter(batch.values())))
            loss = loss * (rows * self.group.size / self.batch_size)
        loss.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # pyright: ignore
        # one number tells whether loss and gradients are finite: one synchronisation a step
        value = mean_over_processes(loss.detach(), self.group)
        size, value = torch.stack((norm, value)).tolist()
        if not (math.isfinite(size) and math.isfinite(value)):
            self._skip()
            return
        self.skipped_in_row = 0
        if self.options.clip_norm is not None and size > self.options.clip_norm:
            torch._foreach_mul_(gradients, self.options.clip_norm / size)  # pyright: ignore
        self.optimizer.step()
        if self.average:
            # a short average at first, so that the start is forgotten soon
            decay = min(self.options.average, (1 + self.result.steps) / (10 + self.result.steps))
            torch._foreach_lerp_(self.average, self.trained, 1 - decay)  # pyright: ignore
        self.loss_sum += value
        self.loss_count += 1

    def _skip(self) -> None:
        self.result.skipped_steps += 1
        self.skipped_in_row += 1
        if self.skipped_in_row < self.options.max_skipped:
            return
        self.skipped_in_row = 0
        self.result.rollbacks += 1
        self._restore(self.good)
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.5
        if self.result.rollbacks > self.options.max_rollbacks:
            self.result.stopped = "diverged"

    def _evaluate(self) -> None:
        """Score the present state, keep it if it is the best, and let the schedules see it."""
        present = [p.clone() for p in self.trained] if self.average else []
        _copy(self.average, self.trained[: len(self.average)])
        self._score()
        _copy(present, self.trained[: len(present)])

    @torch.no_grad()
    def _score(self) -> None:
        self.evaluated_at = self.result.steps
        entry: dict[str, float] = {"epoch": self.epoch, "step": self.result.steps}
        entry["train_loss"] = self.loss_sum / self.loss_count if self.loss_count else math.nan
        self.loss_sum, self.loss_count = 0.0, 0
        score = entry["train_loss"]
        if self.validation is not None:
            share_buffers(self.model, self.group)
            terms = evaluate(self.model, self.validation, self.options.batch_size, self.noise)
            entry |= {f"validation_{name}": value for name, value in terms.items()}
            score = terms[self.options.monitor]
        entry |= {s.name: s.value for s in self.schedules}
        entry["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        entry["skipped_steps"] = self.result.skipped_steps
        self.result.history.append(entry)
        self.logs.write(entry)
        if math.isfinite(score):
            _copy(self.state, self.good)
        self._keep_best(score)
        if self.epoch > 0:
            for schedule in self.schedules:
                schedule.on_evaluation(score, self.optimizer)

    def _keep_best(self, score: float) -> None:
        # without validation data the start has no score, and any state replaces it
        if score < self.result.best_score:
            self.result.best_score, self.result.best_epoch = score, self.epoch
            _copy(self.state, self.best)
            self.waited = 0
        elif self.epoch:
            self.waited += 1

    def _finished(self) -> bool:
        if self.result.stopped == "diverged":
            return True
        if self.options.patience is None or self.waited <= self.options.patience:
            return False
        self.result.stopped = "patience"
        return True

    @torch.no_grad()
    def _restore(self, saved: list[Tensor]) -> None:
        _copy(saved, self.state)

    def _save(self, started: float) -> None:
        if self.options.checkpoint is None or self.group.rank != 0:
            return
        self.result.seconds = time.perf_counter() - started
        save_checkpoint(self.options.checkpoint, self._tree())

    def load(self) -> None:
        """Take up the run that ``options.checkpoint`` holds."""
        if self.options.checkpoint is None:
            raise ValueError("resume needs options.checkpoint, the file to resume from")
        tree = load_checkpoint(self.options.checkpoint, self.identity)
        self.model.load_state_dict(tree["model"])
        _copy(tree["best"], self.best)
        _copy(tree["good"], self.good)
        _copy(tree["average"], self.average)
        load_optimizer(self.optimizer, tree["optimizer"])
        for schedule, state in zip(self.schedules, tree["schedules"], strict=True):
            schedule.load_state_dict(state)
        for generator, state in zip(self._generators(), tree["generators"], strict=True):
            generator.set_state(state)
        self.order = tree["order"]
        for name, tensor in tree["data"].items():
            self.data[name].copy_(tensor)
        for name, value in tree["counters"].items():
            setattr(self, name, value)
        self.result = FitResult(**tree["result"])
        if self.result.stopped == "patience":  # which may have been raised since
            self.result.stopped = "max_epochs"
        self.model.train()

    def _tree(self) -> dict[str, Any]:
        counters = ("epoch", "batch", "waited", "skipped_in_row", "evaluated_at")
        counters += ("loss_sum", "loss_count")
        return {
            "identity": self.identity,
            "model": dict(self.model.state_dict()),
            "best": self.best,
            "good": self.good,
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "schedules": [s.state_dict() for s in self.schedules],
            "generators": [generator.get_state() for generator in self._generators()],
            "order": self.order,
            # what on_epoch made of the data at the beginning of the epoch cannot be made again
            "data": dict(self.data) if self.on_epoch and self.order is not None else {},
            "counters": {name: getattr(self, name) for name in counters},
            "result": dict(vars(self.result)),
        }

    def _generators(self) -> list[torch.Generator]:
        """All sources of randomness of the run: the row order, draws, stochastic transforms."""
        own = (getattr(module, "generator", None) for module in self.model.modules())
        sources = [self.generator, self.noise, *own]
        return [source for source in sources if isinstance(source, torch.Generator)]

    def _identity(self, given: dict[str, Any]) -> dict[str, Any]:
        """What makes two runs the same: rows, parameters, seed and settings of the trajectory."""
        shapes = {name: list(p.shape) for name, p in self.model.state_dict().items()}
        return {
            "rows": self.n_rows,
            "data": [fingerprint(self.data), fingerprint(self.validation or {})],
            "shapes": shapes,
            "seed": self.generator.initial_seed(),
            "options": self.options.trajectory(),
            **given,
        }


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Data, batch_size: int, noise: torch.Generator | None = None
) -> dict[str, float]:
    """Means over data of the loss and its terms, in evaluation mode.

    Args:
        model: whose forward takes a dict of tensors and returns a `Loss`.
        data: tensors with equal first dimensions.
        batch_size: rows at once, at least 4096.
        noise: source of the draws of a stochastic objective.

    Example:
        >>> from anabranch.objectives import Loss
        >>> class Square(nn.Module):
        ...     def forward(self, batch):
        ...         return Loss(batch["x"].square().mean(), {})
        >>> evaluate(Square(), {"x": torch.tensor([1.0, 2.0, 3.0])}, batch_size=2)["loss"]
        4.666...
    """
    was_training, drawing = model.training, drawing_from(noise, model)
    model.eval()
    n_rows = _n_rows(data)
    size = max(batch_size, 4096)
    totals: dict[str, float] = {}
    for start in range(0, n_rows, size):
        batch = {name: tensor[start : start + size] for name, tensor in data.items()}
        loss = model(batch, **drawing)
        share = min(size, n_rows - start) / n_rows
        for name, value in {"loss": loss.total, **loss.terms}.items():
            totals[name] = totals.get(name, 0.0) + share * float(value)
    model.train(was_training)
    return totals


def drawing_from(
    noise: torch.Generator | None, model: nn.Module
) -> dict[str, torch.Generator | None]:
    """Keywords for the forward of a model: its source of draws, where it is stochastic."""
    return {"generator": noise} if getattr(model, "stochastic", False) else {}


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Restore an optimizer from JSON, which keeps neither integer keys nor tuples."""
    state = {int(key): value for key, value in saved["state"].items()}
    groups = []
    for own, group in zip(
        optimizer.state_dict()["param_groups"], saved["param_groups"], strict=True
    ):
        groups.append(
            {k: tuple(v) if isinstance(own.get(k), tuple) else v for k, v in group.items()}
        )
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _filled(rows: Tensor, batch_size: int) -> Tensor:
    """Row numbers, repeated until they fill a batch: shapes stay fixed."""
    return rows.repeat(-(-batch_size // max(len(rows), 1))) if len(rows) < batch_size else rows


@torch.no_grad()
def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for a, b in zip(source, target, strict=True):
        b.copy_(a)


def _n_rows(data: Data) -> int:
    lengths = {name: len(tensor) for name, tensor in data.items()}
    if not lengths or len(set(lengths.values())) > 1 or not next(iter(lengths.values())):
        raise ValueError(
            f"data must be tensors with equal, positive numbers of rows, got {lengths}"
        )
    return next(iter(lengths.values()))
