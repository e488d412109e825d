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
