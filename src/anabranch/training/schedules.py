"""Schedules: numbers that change during training, with a state that checkpoints keep."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Plain = None | bool | int | float | str


class Schedule(ABC):
    """Something that acts between steps and between evaluations.

    ``name`` is its key in the history, ``value`` its present value.
    """

    name: str
    value: float
    finished: bool = False
    """Whether there is nothing left to do: a run ends there, as where its patience is over."""

    def on_step(self, step: int) -> None:  # noqa: B027 - doing nothing is the default
        """Act before step number ``step``, counted from 0."""

    def on_evaluation(  # noqa: B027 - doing nothing is the default
        self, score: float, optimizer: torch.optim.Optimizer
    ) -> None:
        """Act after an evaluation with that validation score (lower is better)."""

    def settings(self) -> dict[str, Plain]:
        """What it was made with and the run depends on: a run with other settings is another."""
        return {}

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Plain values that ``load_state_dict`` takes back."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""


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

    def __init__(self, name: str, buffer: Tensor, function: Callable[[int], float]) -> None:
        self.name, self.buffer, self.function = name, buffer, function
        self.value = float(buffer)

    def on_step(self, step: int) -> None:
        """Write the value of this step."""
        self.value = self.function(step)
        self.buffer.fill_(self.value)

    def settings(self) -> dict[str, Plain]:
        """The name of the function, and its public attributes."""
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        found = getattr(self.function, "__dict__", {})
        plain = {k: v for k, v in found.items() if k[0] != "_" and isinstance(v, Plain)}
        return {"function": name, **plain}

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

    def settings(self) -> dict[str, Plain]:
        """The first step in float32."""
        return {"first": self.first}

    def state_dict(self) -> dict[str, Any]:
        """Its present value."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the value."""
        self._set(bool(state["value"]))

    def _set(self, half: bool) -> None:
        self.model.half_precision, self.value = half, float(half)


def settings_of(schedules: Sequence[Schedule]) -> dict[str, dict[str, Plain]]:
    """The settings of schedules by their names, numbered where these repeat.

    Example:
        >>> buffer = torch.ones(())
        >>> settings_of([ScheduledBuffer("beta", buffer, lambda step: 1.0)])
        {'beta': {'kind': 'ScheduledBuffer', 'function': '<lambda>'}}
    """
    found: dict[str, dict[str, Plain]] = {}
    for number, schedule in enumerate(schedules):
        name = schedule.name if schedule.name not in found else f"{schedule.name}-{number}"
        found[name] = {"kind": type(schedule).__name__, **schedule.settings()}
    return found
