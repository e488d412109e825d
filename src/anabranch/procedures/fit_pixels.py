"""Training of an autoregressive model of images."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anabranch.distributions import PixelModel
from anabranch.objectives import Likelihood
from anabranch.procedures.optimisation import Optimisation, rate_schedule
from anabranch.procedures.training_run import LastState
from anabranch.training import FitOptions, FitResult, Schedule, fit


def fit_pixels(
    model: PixelModel,
    data: dict[str, Tensor],
    validation: dict[str, Tensor],
    *,
    options: FitOptions,
    optimisation: Optimisation,
    seed: int,
    identity: dict[str, Any] | None = None,
    resume: bool = False,
) -> FitResult:
    """Maximise the likelihood of images, and leave the model at its best state, or its last.

    Args:
        model: at its start.
        data: images x and, where it takes one, context.
        validation: the same, which judge.
        options: of the loop.
        optimisation: of the estimator: its patience, and which state is kept.
        seed: of the order of rows.
        identity: what a checkpoint must share.
        resume: go on from the checkpoint.
    """
    patience = optimisation.patience
    schedules: list[Schedule] = [rate_schedule(patience, options, len(data["x"]))]
    last = LastState(model) if optimisation.keep == "last" else None
    result = fit(
        Likelihood(model),
        data,
        validation,
        options=options,
        schedules=schedules if last is None else [*schedules, last],
        generator=torch.Generator().manual_seed(seed),
        resume=resume and options.checkpoint is not None and Path(options.checkpoint).exists(),
        identity=identity,
        stage="train",
    )
    if last is not None:
        last.restore(result)
    return result
