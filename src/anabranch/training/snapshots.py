"""Snapshots: states of a model over its training, for pictures of how it learns."""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.training.schedules import Schedule
from anabranch.training.tensors import check_alike, whole_number

State = dict[str, Tensor]


class Snapshots(Schedule):
    """Keeps the start and states that were evaluated, evenly spaced, however long the run gets.

    A state is kept at every ``interval``-th evaluation, with the weights that were scored, so that
    its step finds its scores in the history. Where that makes more than ``limit`` states, every
    second one is dropped and the interval doubled: at any time there are more than half of
    ``limit``, once there were as many evaluations.

    Args:
        model: whose state is kept; a copy, on its device.
        limit: how many states are kept at most; 1 keeps the start.

    Attributes:
        states: pairs of the step and the state dict; the first is the start, step 0.
        interval: evaluations between two states.

    Raises:
        TypeError: for a limit that is no integer.
        ValueError: for a limit below 1.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters())
        >>> snapshots = Snapshots(model, limit=3)
        >>> for step in range(60):
        ...     snapshots.on_step(step)
        ...     if step % 10 == 9:
        ...         snapshots.on_evaluation(0.0, optimizer)
        >>> [step for step, _ in snapshots.states]
        [0, 40]
    """

    name = "snapshots"

    def __init__(self, model: nn.Module, limit: int) -> None:
        if not isinstance(limit, Integral) or isinstance(limit, bool):
            raise TypeError(f"limit must be an integer, got {limit!r}")
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self.model, self.limit = model, int(limit)
        self.states: list[tuple[int, State]] = []
        self.interval, self.evaluations, self.steps = 1, 0, 0

    @property
    def value(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride] - read only
        """How many states there are."""
        return float(len(self.states))

    def on_step(self, step: int) -> None:
        """Keep the start, and remember how many steps there will have been."""
        if step == 0:
            self._keep()
        self.steps = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Keep the state that was scored, if it is its turn."""
        self.evaluations += 1
        if self.evaluations % self.interval == 0:
            self._keep()

    def _keep(self) -> None:
        copy = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.states.append((self.steps, copy))
        while len(self.states) > self.limit:
            self.states = self.states[::2]
            self.interval *= 2

    def state_dict(self) -> dict[str, Any]:
        """The states, and where in the run they are."""
        return {
            "states": [[step, state] for step, state in self.states],
            "interval": self.interval,
            "evaluations": self.evaluations,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; a lower limit than before is met at the next state that is kept."""
        own = self.model.state_dict()
        for step, tensors in state["states"]:
            check_alike(f"the state of step {whole_number(step)}", tensors, dict(own))
        self.states = [(step, dict(tensors)) for step, tensors in state["states"]]
        self.interval, self.evaluations = int(state["interval"]), int(state["evaluations"])
        self.steps = int(state["steps"])
