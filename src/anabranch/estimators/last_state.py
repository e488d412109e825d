"""The state that a run ends in, which is not always its best."""

from typing import Any

import torch
from torch import Tensor, nn

from anabranch.training import Schedule


class LastState(Schedule):
    """Keeps a copy of a model at each evaluation; `anabranch.training.fit` leaves it at its best.

    Args:
        model: what is copied, and put back by ``restore``.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> last = LastState(model)
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(2.0)
        >>> last.on_evaluation(0.0, torch.optim.SGD(model.parameters()))
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(1.0)
        >>> last.restore()
        >>> model.weight.item()
        2.0
    """

    name = "evaluations"

    def __init__(self, model: nn.Module) -> None:
        self.model, self.value = model, 0.0
        self.state = self._copy()

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Take a copy."""
        self.state, self.value = self._copy(), self.value + 1

    def restore(self) -> None:
        """Put the model back into the state of the last evaluation."""
        self.model.load_state_dict(self.state)

    def state_dict(self) -> dict[str, object]:
        """The copy, and how many there were."""
        return {"state": self.state, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take both back."""
        self.state, self.value = state["state"], state["value"]

    def _copy(self) -> dict[str, Tensor]:
        return {key: value.detach().clone() for key, value in self.model.state_dict().items()}
