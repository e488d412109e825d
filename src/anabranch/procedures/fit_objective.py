"""An objective minimised as estimators want it: the loop, its rate, and which state is kept."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from anabranch.contracts.objective import Objective
from anabranch.procedures.optimisation import Optimisation, run_identity, with_rate
from anabranch.procedures.training_run import LastState
from anabranch.training import FitOptions, FitResult, RowStream, Schedule, fit
from anabranch.training.row_stream import rows_of

Batch = dict[str, Tensor]


def fit_objective(
    objective: Objective,
    data: Batch | RowStream,
    validation: Batch,
    *,
    options: FitOptions,
    optimisation: Optimisation,
    seed: int,
    resume: bool = False,
    on_epoch: Callable[[int], None] | None = None,
) -> FitResult:
    """Minimise an objective over rows, and leave its model at the best state, or the last.

    Args:
        objective: with its model at the start.
        data: rows x and what else the objective takes; held or not.
        validation: the same, which judge.
        options: of the loop.
        optimisation: of the estimator: its patience, and which state is kept.
        seed: of the order of rows.
        resume: go on from the checkpoint.
        on_epoch: makes data anew before each epoch.
    """
    options, rate = with_rate(options, rows_of(data))
    schedules: list[Schedule] = [rate]
    last = LastState(objective) if optimisation.keep == "last" else None
    result = fit(
        objective,
        data,
        validation,
        options=options,
        schedules=schedules if last is None else [*schedules, last],
        generator=torch.Generator().manual_seed(seed),
        resume=resume and options.checkpoint is not None and Path(options.checkpoint).exists(),
        on_epoch=on_epoch,
        identity=run_identity(optimisation, objective, options),
        stage="train",
    )
    if last is not None:
        last.restore(result)
    return result
