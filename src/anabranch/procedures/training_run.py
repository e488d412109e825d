"""How the loop is run for a system that runs it with rows and objectives of its own."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from anabranch.contracts.objective import Objective
from anabranch.training import FitOptions, FitResult, Schedule, fit


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
        last = [LastState(objective)] if self.keep == "last" else []
        rows = (data,) if validation is None else (data, validation)
        result = self.loop(
            objective,
            *rows,
            options=self.options,
            schedules=[*schedules, *self.schedules, *last],
            generator=self.generator,
            noise=self.noise,
            on_epoch=on_epoch,
        )
        for schedule in last:
            schedule.restore()
        return result

    def steps(self, n_rows: int) -> int:
        """How many steps all epochs take, at least one: what a schedule of the whole run needs."""
        per_epoch = max(1, n_rows // self.options.batch_size)
        return per_epoch * max(1, self.options.max_epochs)

    def with_options(self, **changes: object) -> "TrainingRun":
        """The same with other options of the loop."""
        return replace(self, options=replace(self.options, **changes))  # pyright: ignore[reportArgumentType]


class LastState(Schedule):
    """The state of a model at the last evaluation, for losses whose best state says nothing.

    Args:
        model: whose state is kept.
    """

    name, value = "last", 0.0

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.state = copy.deepcopy(model.state_dict())

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Keep the state."""
        self.state = copy.deepcopy(self.model.state_dict())

    def restore(self) -> None:
        """Leave the model in it."""
        self.model.load_state_dict(self.state)

    def state_dict(self) -> dict[str, Tensor]:
        """The state."""
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take it back from a checkpoint."""
        self.state = state
