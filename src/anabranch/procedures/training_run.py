"""How the loop is run for a system that runs it with rows and objectives of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from anabranch.contracts.objective import Objective
from anabranch.training import FitOptions, FitResult, Schedule, fit
from anabranch.training.tensors import check_alike


@dataclass(frozen=True)
class TrainingRun:
    """What a user decides about the runs of the loop, whatever the system.

    Attributes:
        options: of the loop.
        generator: source of the row order, on the CPU; None for one without a seed.
        noise: source of the draws of a stochastic objective, on the device of the model; None for
            torch's own.
        schedules: further schedules.
        keep: whether the state with the best score is what comes out, or the last.
        loop: what is run in place of `anabranch.training.fit`, such as one with a checkpoint.

    Example:
        >>> from anabranch.models import autoencoder
        >>> from anabranch.objectives import Reconstruction
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=8))
        >>> model = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> run.fit(Reconstruction(model), {"x": torch.zeros(16, 3)}).steps
        4
    """

    options: FitOptions
    generator: torch.Generator | None = None
    noise: torch.Generator | None = None
    schedules: Sequence[Schedule] = ()
    keep: Literal["best", "last"] = "best"
    loop: Callable[..., FitResult] = fit

    def fit(
        self,
        objective: Objective,
        data: Mapping[str, Tensor],
        validation: Mapping[str, Tensor] | None = None,
        *,
        schedules: Sequence[Schedule] = (),
        on_epoch: Callable[[int], Tensor | None] | None = None,
    ) -> FitResult:
        """Run the loop, with a system's own schedules before the user's."""
        last = LastState(objective)
        rows = (data,) if validation is None else (data, validation)
        result = self.loop(
            objective,
            *rows,
            options=self.options,
            schedules=[*schedules, *self.schedules, *([last] if self.keep == "last" else [])],
            generator=self.generator,
            noise=self.noise,
            on_epoch=on_epoch,
        )
        if result.stopped != "diverged":
            # which remembers nothing where the best state is wanted
            last.restore(result)
        return result

    def steps(self, n_rows: int) -> int:
        """How many steps all epochs take, at least one: what a schedule of the whole run needs."""
        per_epoch = max(1, n_rows // self.options.batch_size)
        return per_epoch * max(1, self.options.max_epochs)

    def with_options(self, **changes: object) -> "TrainingRun":
        """The same with other options of the loop."""
        return replace(self, options=replace(self.options, **changes))  # pyright: ignore[reportArgumentType]


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
        if state["score"] is not None:
            check_alike("the last state", state["state"], dict(self.module.state_dict()))
        self.value, self.score = state["value"], state["score"]
        self.state = dict(state["state"])
