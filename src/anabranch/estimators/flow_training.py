"""How flows are trained, alone and in mixtures: the loop, its learning rate, the state kept."""

from typing import Any

import torch
from torch import Tensor, nn

from anabranch.estimators.optimisation import Optimisation
from anabranch.training import CosineDecay, FitOptions, FitResult, ReduceOnPlateau, Schedule

LEARNING_RATE = 5e-3


def flow_options(optimisation: Optimisation, n_rows: int, monitor: str = "nll") -> FitOptions:
    """The settings of the loop.

    Args:
        optimisation: what the user wants; a learning rate of "auto" is less for fewer than two
            thousand rows, where a flow overfits within few steps.
        n_rows: N.
        monitor: the validation term by which the best state is chosen.

    Example:
        >>> flow_options(Optimisation(learning_rate="auto"), 1000).learning_rate
        0.0025
    """
    return optimisation.options(
        n_rows,
        learning_rate=optimisation.rate(LEARNING_RATE * min(1.0, n_rows / 2000)),
        average=0.99,
        min_evaluation_steps=20 if n_rows > 1000 else 5,
        monitor=monitor,
    )


def rate_schedule(patience: int | None, options: FitOptions, n_rows: int) -> Schedule:
    """With patience the rate falls where nothing improves; without, over the whole run."""
    if patience is None:
        steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
        return CosineDecay(steps)
    return ReduceOnPlateau(patience=max(patience // 2 - 2, 1))


class LastState(Schedule):
    """Remembers the state that was evaluated last, for a fit that keeps it and not the best one.

    Args:
        module: whose state is remembered.

    Attributes:
        value: how many there have been.
        score: of the state, None before there is one.
        state: of the module, with the weights that were scored.
    """

    name = "evaluations"

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.value = 0.0
        self.score: float | None = None
        self.state: dict[str, Tensor] = {}

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Remember the state that was scored."""
        self.value += 1
        self.score = score
        self.state = {name: t.detach().clone() for name, t in self.module.state_dict().items()}

    def restore(self, result: FitResult) -> None:
        """Put the module into that state, and let the result speak of it."""
        if self.score is not None:
            self.module.load_state_dict(self.state)
            result.best_score, result.best_epoch = self.score, int(result.history[-1]["epoch"])

    def state_dict(self) -> dict[str, Any]:
        """The state, for checkpoints."""
        return {"value": self.value, "score": self.score, "state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.value, self.score = state["value"], state["score"]
        self.state = dict(state["state"])
