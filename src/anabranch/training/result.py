"""What a fit did."""

import math
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Self

ENDS = ("max_epochs", "patience", "diverged", "settled", "collapsed")


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
        stopped: "max_epochs", "patience" or "diverged"; of clusters also "settled" or "collapsed".
        seconds: duration, over all resumed parts.
        stages: names of the fits that led here, this one last; empty where it has no name.
        gain: mean nats that rows held out gained over the start, and their standard error, before
            it was decided whether the model goes back to it; empty where nothing was compared.

    Raises:
        ValueError: for what is no number, count or text where one is expected.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = math.inf
    best_epoch: int = 0
    steps: int = 0
    skipped_steps: int = 0
    rollbacks: int = 0
    stopped: str = "max_epochs"
    seconds: float = 0.0
    stages: list[str] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        counts = (self.best_epoch, self.steps, self.skipped_steps, self.rollbacks)
        if not all(isinstance(count, Integral) and count >= 0 for count in counts):
            raise ValueError(f"the counts of a result must be integers from 0, got {counts}")
        if self.stopped not in ENDS:
            raise ValueError(f"stopped must be one of {ENDS}, got {self.stopped!r}")
        if not (isinstance(self.history, list) and isinstance(self.stages, list)):
            raise ValueError("the history and the stages of a result must be lists")
        numbers = (v for entry in self.history for v in (*entry.values(), entry["epoch"]))
        if not all(isinstance(v, Real) for v in (self.best_score, self.seconds, *numbers)):
            raise ValueError("the scores, times and history of a result must be numbers")
        if len(self.gain) not in (0, 2) or not all(isinstance(v, Real) for v in self.gain):
            raise ValueError(f"gain must be a mean and its error, got {self.gain}")
        if not all(isinstance(stage, str) for stage in self.stages):
            raise ValueError("the stages of a result must be texts")

    def after(self, *earlier: Self) -> Self:
        """This result, with the stages of earlier fits before its own.

        Example:
            >>> first, last = FitResult(stages=["pretrain"]), FitResult(steps=9, stages=["train"])
            >>> result = last.after(first)
            >>> result.stages, result.steps
            (['pretrain', 'train'], 9)
        """
        before = [stage for result in earlier for stage in result.stages]
        return replace(self, stages=[*before, *self.stages])
