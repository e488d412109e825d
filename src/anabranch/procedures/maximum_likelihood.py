"""Maximum likelihood as estimators want it: the loop, its rate, and which state is kept."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from anabranch.distributions import Distribution
from anabranch.objectives import Likelihood
from anabranch.procedures.optimisation import Optimisation, run_identity, with_rate
from anabranch.procedures.training_run import LastState
from anabranch.training import FitOptions, FitResult, Schedule, fit

Batch = dict[str, Tensor]


def maximise_likelihood(
    model: Distribution,
    data: Batch,
    validation: Batch,
    *,
    options: FitOptions,
    optimisation: Optimisation,
    seed: int,
    resume: bool = False,
    on_epoch: Callable[[int], None] | None = None,
) -> FitResult:
    """Maximise the likelihood of rows, and leave the model at its best state, or its last.

    Args:
        model: at its start.
        data: rows x and, where it takes one, their context.
        validation: the same, which judge.
        options: of the loop.
        optimisation: of the estimator: its patience, and which state is kept.
        seed: of the order of rows.
        resume: go on from the checkpoint.
        on_epoch: makes data anew before each epoch.
    """
    options, rate = with_rate(options, len(data["x"]))
    schedules: list[Schedule] = [rate]
    last = LastState(model) if optimisation.keep == "last" else None
    result = fit(
        Likelihood(model),
        data,
        validation,
        options=options,
        schedules=schedules if last is None else [*schedules, last],
        generator=torch.Generator().manual_seed(seed),
        resume=resume and options.checkpoint is not None and Path(options.checkpoint).exists(),
        on_epoch=on_epoch,
        identity=run_identity(optimisation, model, options),
        stage="train",
    )
    if last is not None:
        last.restore(result)
    return result
