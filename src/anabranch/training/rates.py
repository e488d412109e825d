"""Schedules of the learning rate."""

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from anabranch.training.schedules import Plain, Schedule


class ReduceOnPlateau(Schedule):
    """Multiplies the learning rate when the validation score stops improving.

    It is `torch.optim.lr_scheduler.ReduceLROnPlateau` with any improvement counted as one.

    Args:
        factor: what to multiply by, below 1.
        patience: evaluations without improvement before it does.
        floor: smallest learning rate.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = ReduceOnPlateau(patience=1)
        >>> for score in (3.0, 3.0, 3.0):
        ...     schedule.on_evaluation(score, optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.5
    """

    name = "learning_rate"

    def __init__(self, *, factor: float = 0.5, patience: int = 8, floor: float = 1e-5) -> None:
        self.factor, self.patience, self.floor = factor, patience, floor
        self.best, self.waited, self.value = float("inf"), 0, float("nan")

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Count evaluations without improvement, and act at the patience."""
        # made anew each time: a schedule is there before its optimizer, and may outlive it
        plateau = ReduceLROnPlateau(
            optimizer,
            factor=self.factor,
            patience=self.patience,
            threshold=0.0,
            min_lr=self.floor,  # to which a rate below it is not raised
            eps=0.0,
        )
        plateau.best, plateau.num_bad_epochs = self.best, self.waited
        plateau.step(score)
        self.best, self.waited = float(plateau.best), plateau.num_bad_epochs
        self.value = float(optimizer.param_groups[0]["lr"])

    def settings(self) -> dict[str, Plain]:
        """Factor, patience and floor."""
        return {"factor": self.factor, "patience": self.patience, "floor": self.floor}

    def state_dict(self) -> dict[str, Any]:
        """Best score, count and value; the learning rate itself is the optimizer's."""
        return {"best": self.best, "waited": self.waited, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.best, self.waited, self.value = state["best"], state["waited"], state["value"]


class CosineDecay(Schedule):
    r"""Lower the learning rate by half a cosine over a known number of steps, at each evaluation.

    .. math:: \eta_t = \eta_0\,[f + (1 - f)\, \tfrac12 (1 + \cos(\pi t / T))]

    Args:
        steps: T.
        floor: the last share f of the learning rate.

    Source: Loshchilov, Hutter (2016), arXiv:1608.03983.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = CosineDecay(10, floor=0.0)
        >>> schedule.on_step(4)
        >>> schedule.on_evaluation(0.0, optimizer)
        >>> round(optimizer.param_groups[0]["lr"], 6)
        0.5
    """

    # Not `torch.optim.lr_scheduler.CosineAnnealingLR`: its recursion forgets a rollback. A rate 1
    # that is halved at step 50 of 100, with the floor 0.01, ends there at 0.01, and here at 0.005.
    # It also wraps the optimizer's step, and asks to be called at each, where this waits for the
    # evaluation, whose scores then belong to one rate.

    name = "learning_rate"

    def __init__(self, steps: int, *, floor: float = 0.01) -> None:
        self.steps, self.floor = steps, floor
        self.taken, self.share, self.value = 0, 1.0, float("nan")

    def on_step(self, step: int) -> None:
        """Count the steps."""
        self.taken = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Set the rate of the following steps; what a rollback halved stays halved."""
        wave = 0.5 * (1 + math.cos(math.pi * min(1.0, self.taken / self.steps)))
        share = self.floor + (1 - self.floor) * wave
        for group in optimizer.param_groups:
            group["lr"] *= share / self.share
        self.share, self.value = share, float(optimizer.param_groups[0]["lr"])

    def settings(self) -> dict[str, Plain]:
        """Length and floor."""
        return {"steps": self.steps, "floor": self.floor}

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, present share and value."""
        return {"taken": self.taken, "share": self.share, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.taken, self.share, self.value = state["taken"], state["share"], state["value"]


class HoldThenDecay(Schedule):
    r"""Hold the learning rate while the score improves, then lower it to zero and end the run.

    A high rate, whose noise an average of the parameters takes out again, gets far in few steps;
    half a cosine from it to zero gets the rest. From step s on, when the score has not improved for
    a while:

    .. math:: \eta_t = \eta_0\, \tfrac12 (1 + \cos(\pi (t - s) / T)), \qquad
        T = \max(\texttt{steps}, s / 2)

    Args:
        patience: evaluations without improvement before it falls.
        steps: the fewest over which it falls.
        longest: steps after which it falls in any case.

    Source: after Hu et al. (2024), "MiniCPM", arXiv:2404.06395, whose fall begins at a given step.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule, rates = HoldThenDecay(patience=1, steps=4), []
        >>> for step in range(8):
        ...     schedule.on_step(step)
        ...     schedule.on_evaluation(0.0, optimizer)
        ...     rates.append(round(schedule.value, 4))
        >>> rates, schedule.finished
        ([1.0, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0], True)
    """

    # Not `torch.optim.lr_scheduler`: none of its schedules has an end that the score begins.

    name = "learning_rate"

    def __init__(self, *, patience: int = 4, steps: int = 150, longest: int = 6000) -> None:
        self.patience, self.steps, self.longest = patience, steps, longest
        self.best, self.waited, self.taken = math.inf, 0, 0
        self.begun, self.share, self.value = -1, 1.0, math.nan

    @property
    def finished(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the rate is zero."""
        return self.begun >= 0 and self.taken >= self.begun + self._length

    @property
    def _length(self) -> int:
        return max(self.steps, self.begun // 2)

    def on_step(self, step: int) -> None:
        """Count the steps."""
        self.taken = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Wait for the score, or set the rate of the following steps."""
        if self.begun < 0:
            self.waited = 0 if score < self.best else self.waited + 1
            self.best = min(self.best, score)
            if self.waited > self.patience or self.taken >= self.longest:
                self.begun = self.taken
        if self.begun >= 0:
            passed = min(1.0, (self.taken - self.begun) / self._length)
            share = 0.5 * (1 + math.cos(math.pi * passed))
            for group in optimizer.param_groups:
                # what a rollback halved stays halved
                group["lr"] *= share / self.share if self.share else 0.0
            self.share = share
        self.value = float(optimizer.param_groups[0]["lr"])

    def settings(self) -> dict[str, Plain]:
        """Patience and lengths."""
        return {"patience": self.patience, "steps": self.steps, "longest": self.longest}

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, when the fall began, and how far it is."""
        names = ("best", "waited", "taken", "begun", "share", "value")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        for name in self.state_dict():
            setattr(self, name, state[name])


class RateHalving(Schedule):
    """Halves the learning rate every so many steps, at the evaluation that follows.

    Args:
        every: steps between two halvings.

    Raises:
        ValueError: for fewer than one step.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = RateHalving(10)
        >>> schedule.on_step(24)
        >>> schedule.on_evaluation(0.0, optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.25
    """

    name = "learning_rate"

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        self.every, self.taken, self.halvings, self.value = every, 0, 0, float("nan")

    def on_step(self, step: int) -> None:
        """Count the steps."""
        self.taken = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Set the rate of the following steps; what a rollback halved stays halved."""
        due = self.taken // self.every
        for group in optimizer.param_groups:
            group["lr"] = math.ldexp(group["lr"], self.halvings - due)
        self.halvings, self.value = due, float(optimizer.param_groups[0]["lr"])

    def settings(self) -> dict[str, Plain]:
        """Steps between two halvings."""
        return {"every": self.every}

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, halvings done and value; the learning rate itself is the optimizer's."""
        return {"taken": self.taken, "halvings": self.halvings, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.taken, self.halvings, self.value = state["taken"], state["halvings"], state["value"]
