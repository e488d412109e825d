"""What every loop of training does, whatever it minimises."""

import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anabranch.archive import fingerprint
from anabranch.training.allocation import kept_memory
from anabranch.training.average import ParameterAverage
from anabranch.training.batches import Batches, Data
from anabranch.training.checkpoint import load_checkpoint, load_optimizer, save_checkpoint
from anabranch.training.interrupt import deferred_interrupt
from anabranch.training.logs import Logs
from anabranch.training.options import FitOptions
from anabranch.training.parallel import mean_over_processes, process_group
from anabranch.training.precision import matrix_products
from anabranch.training.result import DivergedWarning, FitResult
from anabranch.training.schedules import Schedule, settings_of
from anabranch.training.tensors import clones, copy_tensors
from anabranch.training.threads import threads_for

COUNTERS = ("epoch", "waited", "skipped_in_row", "evaluated_at", "sums", "summed")


@dataclass(frozen=True)
class Setup:
    """What a run is given beside its model and its rows; see `anabranch.training.fit`."""

    options: FitOptions = field(default_factory=FitOptions)
    schedules: Sequence[Schedule] = ()
    generator: torch.Generator = field(default_factory=torch.Generator)
    noise: torch.Generator | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None


class Run(ABC):
    """A run over epochs of batches: steps, recovery, average, history, logs, checkpoints, resume.

    What a subclass adds is a step (`_turn`), a score (`_score`), and which state is left.

    Args:
        module: all that is trained; checkpoints hold its state.
        players: modules whose parameters are stepped with; only those of the first are averaged.
        batches: rows of a step.
        setup: see `Setup`.
    """

    losses: ClassVar[tuple[str, ...]]
    """Names of what `_turn` gives."""
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    diverged: ClassVar[str]
    """Which state is kept by a run that diverged."""

    def __init__(
        self, module: nn.Module, players: Sequence[nn.Module], batches: Batches, setup: Setup
    ) -> None:
        self.module, self.batches, self.setup = module, batches, setup
        self.options, self.schedules = setup.options, list(setup.schedules)
        self.group = process_group()
        own = [[p for p in player.parameters() if p.requires_grad] for player in players]
        if not all(own):
            raise ValueError("a model must have parameters to train, got none")
        self.parameters = [p for parameters in own for p in parameters]
        self.optimizer = torch.optim.AdamW(
            [{"params": parameters} for parameters in own],
            self.options.learning_rate,
            betas=self.betas,
            weight_decay=self.options.weight_decay,
            fused=True,
        )
        self.average = ParameterAverage(own[0], self.options.average)
        self.state = [*module.parameters(), *module.buffers()]
        self.good = clones(self.state)
        self.best: list[Tensor] = []
        self.result = FitResult(stages=[setup.stage] if setup.stage else [])
        self.epoch = self.waited = self.skipped_in_row = self.evaluated_at = self.summed = 0
        self.sums = [0.0] * len(self.losses)
        self.identity = self._identity() if self.options.checkpoint is not None else {}

    # --- what a subclass says ---

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

    def _begin(self) -> None:  # noqa: B027 - doing nothing is the default
        """Act before the first step."""

    def _rows(self) -> Tensor | None:
        """Numbers of the rows of the epoch that begins; None for all."""
        return None

    def _made(self) -> Data:
        """Tensors of the data that cannot be made again within an epoch."""
        return {}

    # --- the run ---

    def run(self) -> FitResult:
        """Run all epochs, whatever ends them."""
        self.started = time.perf_counter() - self.result.seconds
        self.logs = Logs(self.options, rank=self.group.rank, stage=self.setup.stage)
        work = self._size() * sum(p.numel() for p in self.parameters)
        try:
            with (
                threads_for(work),
                matrix_products(self.options.matmul, self._products(), self._size()),
                kept_memory(),
                deferred_interrupt(enabled=self.options.checkpoint is not None) as interrupted,
            ):
                self._epochs(interrupted)
        finally:
            self.logs.close()
            self.module.eval()
            self.optimizer.zero_grad()
        self._settle()
        self.result.seconds = time.perf_counter() - self.started
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
        if self.options.patience is None or self.waited <= self.options.patience:
            return False
        self.result.stopped = "patience"
        return True

    # --- checkpoints ---

    def _save(self) -> None:
        if self.options.checkpoint is None or self.group.rank != 0:
            return
        self.result.seconds = time.perf_counter() - self.started
        save_checkpoint(self.options.checkpoint, self._tree())

    def load(self) -> None:
        """Take up the run that ``options.checkpoint`` holds."""
        if self.options.checkpoint is None:
            raise ValueError("resume needs options.checkpoint, the file to resume from")
        tree = load_checkpoint(self.options.checkpoint, self.identity)
        self._check_limits(tree)
        self.module.load_state_dict(tree["model"])
        for name, tensors in tree["copies"].items():
            copy_tensors(tensors, self._copies()[name])
        load_optimizer(self.optimizer, tree["optimizer"])
        for schedule, state in zip(self.schedules, tree["schedules"], strict=True):
            schedule.load_state_dict(state)
        for generator, state in zip(self._generators(), tree["generators"], strict=True):
            generator.set_state(state)
        self.batches.order, self.batches.taken = tree["order"], tree["taken"]
        for name, tensor in tree["data"].items():
            self.batches.data[name].copy_(tensor)
        for name in COUNTERS:
            setattr(self, name, tree["counters"][name])
        self.result = FitResult(**tree["result"])
        if self.result.stopped == "patience":  # which may have been raised since
            self.result.stopped = "max_epochs"
        self.module.train()

    def _tree(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "limits": {"max_epochs": self.options.max_epochs, "patience": self.options.patience},
            "model": dict(self.module.state_dict()),
            "copies": self._copies(),
            "optimizer": self.optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "generators": [generator.get_state() for generator in self._generators()],
            "order": self.batches.order,
            "taken": self.batches.taken,
            "data": self._made() if self.batches.order is not None else {},
            "counters": {name: getattr(self, name) for name in COUNTERS},
            "result": dict(vars(self.result)),
        }

    def _copies(self) -> dict[str, list[Tensor]]:
        return {"best": self.best, "good": self.good, "average": self.average.values}

    def _check_limits(self, tree: Mapping[str, Any]) -> None:
        """Refuse limits at which the run would have ended before it came so far."""
        was = tree["limits"]
        begun = tree["counters"]["epoch"] + (tree["order"] is not None)
        shrunk = {"max_epochs": self.options.max_epochs < begun}
        if self.options.patience is not None:
            shrunk["patience"] = was["patience"] is None or self.options.patience < was["patience"]
        for name in (name for name, refused in shrunk.items() if refused):
            raise ValueError(
                f"{self.options.checkpoint} is the checkpoint of another run: options.{name} was "
                f"{was[name]}, now {getattr(self.options, name)}. It may grow, not shrink"
            )

    def _generators(self) -> list[torch.Generator]:
        """All sources of randomness of the run: the row order, draws, stochastic transforms."""
        own = (getattr(module, "generator", None) for module in self.module.modules())
        sources = [self.setup.generator, self.setup.noise, *own]
        return [source for source in sources if isinstance(source, torch.Generator)]

    def _identity(self) -> dict[str, Any]:
        """What makes two runs the same: rows, parameters, seeds, settings of the trajectory."""
        noise = self.setup.noise
        return {
            **self.setup.identity,
            "options": self.options.trajectory(),
            "schedules": settings_of(self.schedules),
            "seed": self.setup.generator.initial_seed(),
            "noise": None if noise is None else noise.initial_seed(),
            "rows": self.batches.n_rows,
            "data": fingerprint(self.batches.data),
            "shapes": {name: list(p.shape) for name, p in self.module.state_dict().items()},
        }
