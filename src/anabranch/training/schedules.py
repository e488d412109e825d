"""Schedules: numbers that change during training, with a state that checkpoints keep."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class Schedule(ABC):
    """Something that acts between steps and between evaluations.

    ``name`` is its key in the history, ``value`` its present value.
    """

    name: str
    value: float

    def on_step(self, step: int) -> None:  # noqa: B027 - doing nothing is the default
        """Act before step number ``step``, counted from 0."""

    def on_evaluation(  # noqa: B027 - doing nothing is the default
        self, score: float, optimizer: torch.optim.Optimizer
    ) -> None:
        """Act after an evaluation with that validation score (lower is better)."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Plain values that ``load_state_dict`` takes back."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""


class ExponentialDecay:
    r"""A function of the step: :math:`\max(v_0 e^{-r t}, v_{\min})`.

    Example:
        >>> decay = ExponentialDecay(1.0, rate=1e-3, floor=0.01)
        >>> decay(0), round(decay(1000), 4), decay(10**9)
        (1.0, 0.3679, 0.01)
    """

    def __init__(self, start: float, *, rate: float, floor: float) -> None:
        if rate < 0 or floor <= 0 or start < floor:
            raise ValueError(
                f"need rate >= 0 and start >= floor > 0, got {start=}, {rate=}, {floor=}"
            )
        self.log_start = torch.tensor(start, dtype=torch.float64).log().item()
        self.rate, self.floor = rate, floor

    def __call__(self, step: int) -> float:
        """The value at a step."""
        # in logs, so that no step underflows
        exponent = max(self.log_start - self.rate * step, -700.0)
        return max(torch.tensor(exponent, dtype=torch.float64).exp().item(), self.floor)


class RampUp:
    r"""A function of the step that rises from almost 0 to 1: :math:`e^{-5 (1 - \min(t / L, 1))^2}`.

    Source: Laine, Aila (2017), "Temporal ensembling for semi-supervised learning",
    arXiv:1610.02242.

    Example:
        >>> ramp = RampUp(100)
        >>> round(ramp(0), 4), round(ramp(50), 4), ramp(100), ramp(10**9)
        (0.0067, 0.2865, 1.0, 1.0)
    """

    def __init__(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1 step, got {length}")
        self.length = length

    def __call__(self, step: int) -> float:
        """The value at a step."""
        return math.exp(-5.0 * (1.0 - min(step / self.length, 1.0)) ** 2)


class ScheduledBuffer(Schedule):
    """Writes a function of the step into a scalar buffer of the model, such as its temperature.

    Args:
        name: key in the history.
        buffer: a tensor with one element, part of the model's state.
        function: the value at a step.

    Example:
        >>> temperature = torch.ones(())
        >>> schedule = ScheduledBuffer("temperature", temperature, lambda step: 0.5**step)
        >>> schedule.on_step(2)
        >>> temperature
        tensor(0.2500)
    """

    def __init__(self, name: str, buffer: Tensor, function: Any) -> None:
        self.name, self.buffer, self.function = name, buffer, function
        self.value = float(buffer)

    def on_step(self, step: int) -> None:
        """Write the value of this step."""
        self.value = self.function(step)
        self.buffer.fill_(self.value)

    def state_dict(self) -> dict[str, Any]:
        """Its present value; the function itself has no state."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the value."""
        self.value = state["value"]
        self.buffer.fill_(self.value)


class LateFloat32(Schedule):
    """Takes steps in bfloat16, and those that end a training in float32.

    Rounding holds back what is finer than it, such as the means of pixels whose standard deviation
    is small, and a tenth of the steps is enough to catch up. Whether the model is in bfloat16 is
    its attribute ``half_precision``.

    Args:
        model: with an attribute ``half_precision``.
        first: the first step in float32.

    Raises:
        ValueError: for a negative step.

    Example:
        >>> from types import SimpleNamespace
        >>> model = SimpleNamespace(half_precision=True)
        >>> schedule = LateFloat32(model, 90)
        >>> [(schedule.on_step(step), model.half_precision)[1] for step in (0, 89, 90, 99)]
        [True, True, False, False]
    """

    name = "half_precision"

    def __init__(self, model: Any, first: int) -> None:
        if first < 0:
            raise ValueError(f"first must not be negative, got {first}")
        self.model, self.first = model, first
        self.value = float(model.half_precision)

    def on_step(self, step: int) -> None:
        """Choose the precision of this step."""
        self._set(step < self.first)

    def state_dict(self) -> dict[str, Any]:
        """Its present value."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the value."""
        self._set(bool(state["value"]))

    def _set(self, half: bool) -> None:
        self.model.half_precision, self.value = half, float(half)


class ReduceOnPlateau(Schedule):
    """Multiplies the learning rate when the validation score stops improving.

    Args:
        factor: what to multiply by.
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
        improved = score < self.best
        self.best = score if improved else self.best
        self.waited = 0 if improved else self.waited + 1
        if self.waited > self.patience:
            self.waited = 0
            for group in optimizer.param_groups:
                # a rate that is below the floor already is not raised to it
                group["lr"] = min(group["lr"], max(group["lr"] * self.factor, self.floor))
        self.value = float(optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Best score, count and value; the learning rate itself is the optimizer's."""
        return {"best": self.best, "waited": self.waited, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.best, self.waited, self.value = state["best"], state["waited"], state["value"]
