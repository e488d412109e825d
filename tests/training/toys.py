"""Small models to train, and a run with every source of state that a checkpoint must keep."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from anabranch.distributions import Flow, Normal
from anabranch.objectives import Loss
from anabranch.training import (
    ExponentialDecay,
    FitOptions,
    FitResult,
    ReduceOnPlateau,
    Schedule,
    ScheduledBuffer,
    fit,
)
from anabranch.transforms import (
    Affine,
    BatchNorm,
    Compose,
    Coupling,
    Logit,
    Mask,
    UniformDequantization,
)
from tests.registry import seeded

LEVELS = 8


class Mean(nn.Module):
    """Squared distance to a point, times a factor that a schedule may set."""

    factor: torch.Tensor

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.tensor([start]))
        self.register_buffer("factor", torch.ones(()))

    def forward(self, batch):
        error = (batch["x"] - self.loc).square().mean()
        return Loss(error * self.factor, {"error": error})


class Recorder(Schedule):
    """Notes the parameter before each step."""

    name, value = "recorded", 0.0

    def __init__(self, model: Mean) -> None:
        self.model, self.seen = model, []

    def on_step(self, step: int) -> None:
        self.seen.append(self.model.loc.item())

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def broken_at(model: Mean, steps) -> ScheduledBuffer:
    """A schedule that makes the loss of these steps NaN."""
    return ScheduledBuffer("factor", model.factor, lambda t: math.nan if t in steps else 1.0)


def points(value: float, n: int = 8) -> dict[str, torch.Tensor]:
    return {"x": torch.full((n, 1), value)}


class Killed(BaseException):
    """What a kill looks like from within: nothing gets to clean up after it."""


class Bytes(nn.Module):
    """A flow over integers, dequantized at random in training, with running averages."""

    temperature: torch.Tensor
    stochastic = True

    def __init__(self, seed: int, *, at_step=None) -> None:
        super().__init__()
        generator = seeded(seed)
        layers = [UniformDequantization(2, levels=LEVELS), Logit(2), BatchNorm(2)]
        for mask in ([True, False], [False, True]):
            layers += [Coupling(Affine(), 2, split=Mask(mask), generator=generator)]
        self.flow = Flow(Normal(2), Compose(layers))
        self.register_buffer("temperature", torch.ones(()))
        self.at_step, self.step = at_step, 0

    def forward(self, batch, *, generator=None):
        if self.training:
            self.step += 1
            if self.at_step is not None:
                self.at_step(self.step)
        x = batch["x"] + batch["shift"]
        nll = -self.flow.log_prob(x, generator=generator).mean()
        return Loss(nll * self.temperature, {"nll": nll})


STEPS = 6  # of an epoch: 50 rows in batches of 8
EPOCHS = 5
OPTIONS = {
    "max_epochs": EPOCHS,
    "batch_size": 8,
    "learning_rate": 0.02,
    "average": 0.9,
    "patience": None,
    "min_evaluation_steps": 4,
    "monitor": "nll",
    "checkpoint_steps": 4,
    "max_skipped": 2,
    "progress": False,
}
POISONED = (14, 15, 20)  # steps whose loss is NaN: a rollback in the third epoch, and one skip


def bytes_data() -> dict[str, torch.Tensor]:
    x = torch.randint(1, LEVELS - 1, (50, 2), generator=seeded(0)).float()
    return {"x": x, "shift": torch.zeros(50, 2)}


def run_bytes(
    path: Path | None, *, resume: bool = False, at_step=None, seed: int = 0, **changes
) -> tuple[Bytes, FitResult]:
    """A run whose model, row order, noise, schedules, averages and data all have a state."""
    # a resumed process starts with other weights and sources than those it must end with
    model = Bytes(99 if resume else seed, at_step=at_step)
    data, validation = bytes_data(), {k: v[:20] for k, v in bytes_data().items()}
    decay = ExponentialDecay(2.0, rate=0.1, floor=0.5)

    def temperature(step: int) -> float:
        return math.nan if step in POISONED else decay(step)

    def shift_rows(epoch: int) -> None:
        data["shift"].copy_(torch.randint(-1, 2, (50, 2), generator=seeded(epoch)))

    result = fit(
        model,
        data,
        validation,
        options=FitOptions(**{**OPTIONS, "checkpoint": path, **changes}),
        schedules=[
            ReduceOnPlateau(patience=0),
            ScheduledBuffer("temperature", model.temperature, temperature),
        ],
        generator=seeded(5),
        noise=seeded(seed + 1),
        resume=resume,
        on_epoch=shift_rows,
    )
    return model, result
