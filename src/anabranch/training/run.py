"""What every loop of training does, whatever it minimises."""

import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from anabranch.data.locks import locked
from anabranch.training.allocation import kept_memory
from anabranch.training.batches import Data
from anabranch.training.denormals import flushed_denormals
from anabranch.training.interrupt import deferred_interrupt
from anabranch.training.logs import Logs
from anabranch.training.parallel import mean_over_processes
from anabranch.training.precision import matrix_products
from anabranch.training.result import DivergedWarning, FitResult
from anabranch.training.run_state import RunState
from anabranch.training.tensors import copy_tensors
from anabranch.training.threads import threads_for


class Run(RunState, ABC):
    """A run over epochs of batches: steps, recovery, average, history, logs, interruption.

    What a subclass adds is a step (`_turn`), a score (`_score`), and which state is left.
    """

    diverged: ClassVar[str]
    """Which state is kept by a run that diverged."""

    @abstractmethod
    def _turn(self, rows: Data) -> Sequence[float] | None:
        """Change the parameters by the rows of one step; its losses, None if one is not finite."""

    @abstractmethod
    def _score(self, means: dict[str, float]) -> tuple[dict[str, float], float]:
        """What the history says of the present state, and the score; lower is better."""

    @abstractmethod
    def _keep(self, score: float) -> None:
        """Keep what is to be kept of a state with that score."""

    @abstractmethod
    def _settle(self) -> None:
        """Leave the state that the run is for."""

    def _products(self) -> nn.Module:
        """The module whose layers decide which kernels multiply matrices."""
        return self.module

    def _size(self) -> int:
        """Rows of a batch."""
        return self.batches.size

    def _averaged(self) -> int:
        """Steps that the average counts."""
        return self.result.steps

    def _due(self) -> bool:
        """Whether to evaluate at the end of an epoch."""
        return self.result.steps - self.evaluated_at >= self.options.min_evaluation_steps

    def _begin(self) -> None:
        """Act before the first step."""

    def _rows(self) -> Tensor | None:
        """Numbers of the rows of the epoch that begins; None for all."""
        return None

    def run(self) -> FitResult:
        """Run all epochs, whatever ends them."""
        self.started = time.perf_counter() - self.result.seconds
        self.logs = Logs(self.options, rank=self.group.rank, stage=self.setup.stage)
        work = self._size() * sum(p.numel() for p in self.parameters)
        checkpoint = self.options.checkpoint if self.group.rank == 0 else None
        try:
            with (
                nullcontext() if checkpoint is None else locked(checkpoint),
                threads_for(work),
                matrix_products(self.options.matmul, self._products(), self._size()),
                kept_memory(),
                flushed_denormals(),
                deferred_interrupt(enabled=self.options.checkpoint is not None) as interrupted,
            ):
                self._epochs(interrupted)
        except BaseException:
            self.logs.finish(None)
            raise
        finally:
            self.logs.close()
            self.module.eval()
            self.optimizer.zero_grad()
        self._settle()
        self.result.seconds = time.perf_counter() - self.started
        self.logs.finish(self.result)
        if self.result.stopped == "diverged":
            warnings.warn(
                f"training diverged at step {self.result.steps}: {self.result.skipped_steps} steps "
                f"were not finite; {self.diverged}. Lower learning_rate",
                DivergedWarning,
                stacklevel=4,
            )
        return self.result

    def _epochs(self, interrupted: Callable[[], bool]) -> None:
        if not self.result.history:
            self._begin()
        while self.epoch < self.options.max_epochs and not self._finished():
            if self.batches.order is None:
                self.batches.begin(self.setup.generator, self._rows())
                self.module.train()
            while self.batches.left:
                self._step()
                if interrupted():
                    self._save()
                    raise KeyboardInterrupt
                if self.result.steps % self.options.checkpoint_steps == 0:
                    self._save()
                if self.result.stopped == "diverged":
                    return
            self.epoch += 1
            self.batches.end()
            if self._due():
                self._evaluate()
        self._save()
        self._evaluate_last()
        if interrupted():  # during the last evaluation: whoever called may have more to do
            raise KeyboardInterrupt

    def _step(self) -> None:
        for schedule in self.schedules:
            schedule.on_step(self.result.steps)
        rows = self.batches.take()
        self.result.steps += 1
        losses = self._turn(rows)
        if losses is None:
            self._skip()
            return
        self.skipped_in_row = 0
        self.average.update(self._averaged())
        self.sums = [a + b for a, b in zip(self.sums, losses, strict=True)]
        self.summed += 1

    def descend(self, loss: Tensor, parameters: Sequence[Tensor] | None = None) -> float | None:
        """One step down a loss, in all parameters or in some; its value.

        Where loss or gradient is not finite, nothing changes, and the value is None.
        """
        self.optimizer.zero_grad()
        loss.backward(inputs=parameters)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # pyright: ignore
        # one number tells whether loss and gradients are finite: one synchronisation a step
        value = mean_over_processes(loss.detach(), self.group)
        size, value = torch.stack((norm, value)).tolist()
        if not (math.isfinite(size) and math.isfinite(value)):
            return None
        if self.options.clip_norm is not None and size > self.options.clip_norm:
            torch._foreach_mul_(gradients, self.options.clip_norm / size)  # pyright: ignore
        # one optimizer for all players: it leaves alone what has no gradient
        self.optimizer.step()
        return value

    def _skip(self) -> None:
        self.result.skipped_steps += 1
        self.skipped_in_row += 1
        if self.skipped_in_row < self.options.max_skipped:
            return
        self.skipped_in_row = 0
        self.result.rollbacks += 1
        copy_tensors(self.good, self.state)
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.5
        if self.result.rollbacks > self.options.max_rollbacks:
            self.result.stopped = "diverged"

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Score the present state, note and keep it, and let the schedules see it."""
        self.evaluated_at = self.result.steps
        means = [total / self.summed if self.summed else math.nan for total in self.sums]
        self.sums, self.summed = [0.0] * len(self.losses), 0
        terms, score = self._score(dict(zip(self.losses, means, strict=True)))
        entry: dict[str, float] = {"epoch": self.epoch, "step": self.result.steps, **terms}
        entry |= {schedule.name: schedule.value for schedule in self.schedules}
        entry["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        entry["skipped_steps"] = self.result.skipped_steps
        self.result.history.append(entry)
        self.logs.write(entry)
        if math.isfinite(score):
            copy_tensors(self.state, self.good)
        self._keep(score)
        if self.epoch > 0:
            for schedule in self.schedules:
                schedule.on_evaluation(score, self.optimizer)

    def _evaluate_last(self) -> None:
        """Score the last epoch, if it was not.

        A longer run would not have done so: the checkpoint was written before, to be resumed with
        more epochs.
        """
        history = self.result.history
        if self.epoch == self.options.max_epochs and history and history[-1]["epoch"] < self.epoch:
            self._evaluate()

    def _finished(self) -> bool:
        if self.result.stopped == "diverged":
            return True
        patient = self.options.patience is None or self.waited <= self.options.patience
        if patient and not any(schedule.finished for schedule in self.schedules):
            return False
        self.result.stopped = "patience"
        return True
