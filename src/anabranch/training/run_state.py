"""The state of a run of training, and its checkpoints."""

import errno
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anabranch.training.adam import Adam
from anabranch.training.average import ParameterAverage
from anabranch.training.batches import BatchSource, Data
from anabranch.training.checkpoint import (
    load_checkpoint,
    load_optimizer,
    refused,
    save_checkpoint,
)
from anabranch.training.options import FitOptions
from anabranch.training.parallel import process_group
from anabranch.training.result import FitResult
from anabranch.training.schedules import Schedule, settings_of
from anabranch.training.tensors import check_alike, clones, copy_tensors, whole_number

# What a disk without room says.
FULL = (errno.ENOSPC, errno.EDQUOT)
COUNTERS = ("epoch", "waited", "skipped_in_row", "evaluated_at", "sums", "summed")


class CheckpointWarning(UserWarning):
    """A checkpoint was not written, for the disk is full: an older one stays."""


@dataclass(frozen=True)
class Setup:
    """What a run is given beside its model and its rows; see `anabranch.training.fit`."""

    options: FitOptions = field(default_factory=FitOptions)
    schedules: Sequence[Schedule] = ()
    generator: torch.Generator = field(default_factory=torch.Generator)
    noise: torch.Generator | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None


class RunState:
    """All that a run changes, and what makes it this run and no other.

    Args:
        module: all that is trained; checkpoints hold its state.
        players: modules whose parameters are stepped with; only those of the first are averaged.
        batches: rows of a step.
        setup: see `Setup`.

    Raises:
        ValueError: for a player without parameters to train.
    """

    losses: ClassVar[tuple[str, ...]]
    """Names of the losses whose means a run reports."""
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    """Of Adam."""
    every_row: bool = True
    """Whether each epoch goes through all rows, as they are."""

    def __init__(
        self, module: nn.Module, players: Sequence[nn.Module], batches: BatchSource, setup: Setup
    ) -> None:
        self.module, self.batches, self.setup = module, batches, setup
        self.options, self.schedules = setup.options, list(setup.schedules)
        self.group = process_group()
        own = [[p for p in player.parameters() if p.requires_grad] for player in players]
        if not all(own):
            raise ValueError("a model must have parameters to train, got none")
        self.parameters = [p for parameters in own for p in parameters]
        self.optimizer = Adam(
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
        self.started = time.perf_counter()
        self.epoch = self.waited = self.skipped_in_row = self.evaluated_at = self.summed = 0
        self.sums = [0.0] * len(self.losses)
        self.identity = self._identity() if self.options.checkpoint is not None else {}

    def _save(self) -> None:
        if self.options.checkpoint is None or self.group.rank != 0:
            return
        self.result.seconds = time.perf_counter() - self.started
        try:
            save_checkpoint(self.options.checkpoint, self._tree())
        except OSError as error:
            if error.errno not in FULL:
                raise
            warnings.warn(f"{error}; the fit goes on without it", CheckpointWarning, stacklevel=2)

    def load(self) -> None:
        """Take up the run that ``options.checkpoint`` holds."""
        if self.options.checkpoint is None:
            raise ValueError("resume needs options.checkpoint, the file to resume from")
        path = self.options.checkpoint
        tree = load_checkpoint(path, self.identity, self._limits())
        with refused(path):
            self._check(tree)
        self._check_limits(tree)
        with refused(path):
            self._restore(tree)
        self.module.train()

    def _check(self, tree: Mapping[str, Any]) -> None:
        """Refuse what could not be restored, or what no run could have left."""
        check_alike("model", tree["model"], dict(self.module.state_dict()))
        check_alike("copies", tree["copies"], self._copies())
        n_parameters = len(list(self.module.parameters()))
        for kept in tree["copies"].values():
            if not all(tensor.isfinite().all() for tensor in kept[:n_parameters]):
                raise ValueError("a state that was kept has values that are not finite")
        made = self._made() if tree["order"] is not None else {}
        check_alike("data", tree["data"], dict(made))
        result, counters, limits = FitResult(**tree["result"]), tree["counters"], tree["limits"]
        for name in COUNTERS:
            if name != "sums":
                whole_number(counters[name])
        check_alike("sums", torch.tensor(counters["sums"]), torch.zeros(len(self.losses)))
        whole_number(limits["max_epochs"])
        whole_number(0 if limits["patience"] is None else limits["patience"])
        evaluated = [entry["step"] for entry in result.history] or [0]
        possible = (
            counters["evaluated_at"] == evaluated[-1] <= result.steps
            and counters["summed"] <= result.steps - counters["evaluated_at"]
            and counters["waited"] < len(evaluated)
            and counters["skipped_in_row"] < self.options.max_skipped
        )
        if self.every_row:
            steps = counters["epoch"] * (self.batches.n_rows // self.batches.size) + tree["taken"]
            possible = possible and steps == result.steps
        if not possible:
            raise ValueError("its counters contradict each other")

    def _restore(self, tree: Mapping[str, Any]) -> None:
        self.module.load_state_dict(tree["model"])
        for name, tensors in tree["copies"].items():
            copy_tensors(tensors, self._copies()[name])
        load_optimizer(self.optimizer, tree["optimizer"])
        for schedule, state in zip(self.schedules, tree["schedules"], strict=True):
            _check_plain(schedule.name, state, schedule.state_dict())
            schedule.load_state_dict(state)
        for generator, state in zip(self._generators(), tree["generators"], strict=True):
            generator.set_state(state)
        self.batches.restore(tree["order"], tree["taken"], whole=self.every_row)
        for name, tensor in tree["data"].items():
            self.batches.data[name].copy_(tensor)
        for name in COUNTERS:
            setattr(self, name, tree["counters"][name])
        self.result = FitResult(**tree["result"])
        if self.result.stopped == "patience":  # which may have been raised since
            self.result.stopped = "max_epochs"

    def _made(self) -> Data:
        """Tensors of the data that cannot be made again within an epoch."""
        return {}

    def _tree(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "limits": self._limits(),
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

    def _limits(self) -> dict[str, Any]:
        return {"max_epochs": self.options.max_epochs, "patience": self.options.patience}

    def _check_limits(self, tree: Mapping[str, Any]) -> None:
        """Refuse limits at which the run would have ended before it came so far."""
        was = tree["limits"]
        begun = tree["counters"]["epoch"] + (tree["order"] is not None)
        shrunk = {"max_epochs": self.options.max_epochs < begun}
        if self.options.patience is not None:
            shrunk["patience"] = was["patience"] is None or self.options.patience < was["patience"]
        for name in (name for name, less in shrunk.items() if less):
            raise ValueError(
                f"{self.options.checkpoint} is the checkpoint of another run: options.{name} was "
                f"{was[name]}, now {getattr(self.options, name)}. It may grow, not shrink"
            )

    def _generators(self) -> list[torch.Generator]:
        """All sources of randomness of the run: the row order, and the draws of the objective."""
        noise = self.setup.noise
        return [self.setup.generator] if noise is None else [self.setup.generator, noise]

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
            "data": self.batches.fingerprint(),
            "shapes": {name: list(p.shape) for name, p in self.module.state_dict().items()},
        }


def _check_plain(name: str, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse the state of a schedule that has other keys, or no numbers where there are some."""
    for key, value in own.items():
        if isinstance(value, float | int) and not isinstance(saved[key], type(value) | int):
            raise ValueError(f"{name}.{key} is {saved[key]!r:.60}, expected a number")
    if saved.keys() != own.keys():
        raise ValueError(f"{name} has {', '.join(saved)}, expected {', '.join(own)}")
