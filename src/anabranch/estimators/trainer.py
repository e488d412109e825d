"""How an estimator's settings become a run of the fit loop."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anabranch.archive import fingerprint
from anabranch.estimators.epochs import epoch_hook, joint_in_parts
from anabranch.estimators.rows import Rows
from anabranch.models import MixtureModel
from anabranch.objectives import Loss, cross_entropy
from anabranch.training import (
    CosineDecay,
    ExponentialDecay,
    FitOptions,
    FitResult,
    RampUp,
    ReduceOnPlateau,
    Schedule,
    ScheduledBuffer,
    Snapshots,
    fit,
)
from anabranch.training.fit import evaluate

if TYPE_CHECKING:
    from anabranch.estimators.flow_mixture import FlowMixture


LEARNING_RATE = 5e-3
RACE_STEPS = 400
# Steps over which consistency comes in, so that q finds the components first.
RAMP_STEPS = 400
# A q that is certain of the start has hardly any gradient left, and keeps its mistakes.
SMOOTHING = 0.1


class _Posterior(nn.Module):
    """The posterior network alone, taught fixed probabilities."""

    def __init__(self, model: MixtureModel) -> None:
        super().__init__()
        self.network = model.posterior

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        log_q = torch.log_softmax(self.network(batch["x"]).mT, dim=0)
        return Loss(cross_entropy(log_q, batch["targets"].mT).mean(), {})


def train(
    model: MixtureModel,
    rows: Rows,
    validation: Rows,
    settings: "FlowMixture",
    *,
    gaussian: dict[str, Tensor],
    seed: int,
    resume: bool,
) -> tuple[FitResult, list[tuple[int, dict[str, Tensor]]]]:
    """Minimise the objective from the model's present state; leaves it at its best state.

    Returns what the fit did, and the snapshots of it that were asked for.

    Where that is not convincingly better than ``gaussian``, the state in which the mixture is the
    Gaussian one it started from, the model goes back to it.
    """
    data, held_out = rows.batch(settings.device), validation.batch(settings.device)
    options = fit_options(settings, len(rows.z))
    resume = resume and options.checkpoint is not None and Path(options.checkpoint).exists()
    schedules = _schedules(model, settings, options, len(rows.z))
    model.generator = torch.Generator().manual_seed(seed)
    start = copy.deepcopy(model.state_dict())
    result = fit(
        model,
        data,
        held_out,
        options=options,
        schedules=schedules,
        generator=torch.Generator().manual_seed(seed),
        resume=resume,
        on_epoch=epoch_hook(model, data, rows, settings, seed),
        # the checkpoint of another start, or of a model that was started with other settings, has
        # the same shapes
        identity={"start": fingerprint(start)} if options.checkpoint is not None else None,
    )
    after = log_prob_rows(model, held_out["x"])
    trained = copy.deepcopy(model.state_dict())
    model.load_state_dict(gaussian)
    if rows.targets is not None or convincing(after - log_prob_rows(model, held_out["x"])):
        model.load_state_dict(trained)
    else:
        score = evaluate(model, held_out, options.batch_size)[options.monitor]
        result.best_epoch, result.best_score = 0, score
    recorders = [schedule for schedule in schedules if isinstance(schedule, Snapshots)]
    return result, recorders[0].states if recorders else []


def _schedules(
    model: MixtureModel, settings: "FlowMixture", options: FitOptions, n_rows: int
) -> list[Schedule]:
    schedules: list[Schedule] = [rate_schedule(settings.patience, options, n_rows)]
    if settings.inference == "variational":
        decay = ExponentialDecay(
            1.0, rate=settings.temperature_decay, floor=settings.temperature_floor
        )
        length = 1
        if settings.temperature_unit == "epoch":
            length = max(1, n_rows // options.batch_size)
        schedules.append(
            ScheduledBuffer("temperature", model.temperature, lambda step: decay(step // length))
        )
    if model.perturbation is not None and settings.inference != "invariant":
        schedules.append(ScheduledBuffer("ramp", model.ramp, RampUp(RAMP_STEPS)))
    if settings.snapshots:
        schedules.append(Snapshots(model, settings.snapshots))  # last: it keeps what others set
    return schedules


def rate_schedule(patience: int | None, options: FitOptions, n_rows: int) -> Schedule:
    """With patience the rate falls where nothing improves; without, over the whole run."""
    if patience is None:
        steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
        return CosineDecay(steps)
    return ReduceOnPlateau(patience=max(patience // 2 - 2, 1))


def race(
    model: MixtureModel, rows: Rows, validation: Rows, settings: "FlowMixture", seed: int
) -> float:
    """Train for a few hundred steps, and tell how far that gets: the validation score."""
    options = unrecorded(fit_options(settings, len(rows.z)))
    epochs = max(1, RACE_STEPS * options.batch_size // len(rows.z))
    data = rows.batch(settings.device)
    return fit(
        model,
        data,
        validation.batch(settings.device),
        options=replace(options, max_epochs=min(epochs, settings.max_epochs), patience=None),
        generator=torch.Generator().manual_seed(seed),
        on_epoch=epoch_hook(model, data, rows, settings, seed),
    ).best_score


def unrecorded(options: FitOptions) -> FitOptions:
    """The same settings, writing nothing."""
    return replace(options, checkpoint=None, log_path=None, tensorboard=None)


def pretrain(
    model: MixtureModel,
    rows: Rows,
    validation: Rows,
    responsibilities: NDArray[np.float64],
    settings: "FlowMixture",
    seed: int,
) -> None:
    """Fit each component to the rows that trusted responsibilities give it."""
    if not settings.max_epochs:
        return
    data = rows.batch(settings.device)
    data["responsibilities"] = torch.as_tensor(
        responsibilities, dtype=torch.float32, device=settings.device
    )
    options = unrecorded(fit_options(settings, len(rows.z)))
    fit(
        model,
        data,
        validation.batch(settings.device),
        options=replace(options, monitor="nll"),
        schedules=[ReduceOnPlateau(patience=8)],
        generator=torch.Generator().manual_seed(seed),
    )


def convincing(gain: Tensor) -> bool:
    """Whether a mean gain on validation rows exceeds its own standard error.

    Where it does not, as on small tables, the flow has not earned its place, and the Gaussian
    mixture it started from is the better bet (the one-standard-error rule).

    Example:
        >>> convincing(torch.tensor([1.0, 1.1, 0.9])), convincing(torch.tensor([9.0, -8.0, 0.0]))
        (True, False)
    """
    return bool(gain.mean() > gain.std(correction=0) / len(gain) ** 0.5)


def log_prob_rows(model: MixtureModel, x: Tensor) -> Tensor:
    """Log-density of rows, (n,), without gradients and in float64."""
    with torch.no_grad():
        return torch.logsumexp(joint_in_parts(model, x).double(), 0)


def fit_options(settings: "FlowMixture", n_rows: int) -> FitOptions:
    """The settings of the loop."""
    rate = settings.learning_rate
    given = dict(settings.fit_options or {})
    return FitOptions(
        **_plain(
            {
                "max_epochs": settings.max_epochs,
                # small tables need steps more than they need large batches
                "batch_size": min(settings.batch_size, max(64, n_rows // 4)),
                "learning_rate": LEARNING_RATE * min(1.0, n_rows / 2000)
                if rate == "auto"
                else rate,
                "average": 0.99,
                "min_evaluation_steps": 20 if n_rows > 1000 else 5,
                "weight_decay": settings.weight_decay,
                "patience": settings.patience,
                "monitor": "negative_elbo" if settings.inference == "variational" else "nll",
                "progress": None if settings.verbose else False,
                **given,
            }
        )
    )


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Numbers of numpy, such as a grid search gives, as Python's own."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}


def teach_posterior(
    model: MixtureModel,
    rows: Rows,
    responsibilities: NDArray[np.float64],
    settings: "FlowMixture",
    seed: int,
) -> None:
    """Fit q to the responsibilities of the start, so that the first steps do not undo it."""
    if not settings.max_epochs:
        return
    responsibilities = (1 - SMOOTHING) * responsibilities + SMOOTHING / responsibilities.shape[1]
    targets = torch.as_tensor(responsibilities, dtype=torch.float32, device=settings.device)
    steps_per_epoch = max(1, len(targets) // settings.batch_size)
    options = FitOptions(
        max_epochs=max(3, 300 // steps_per_epoch),
        batch_size=settings.batch_size,
        learning_rate=1e-2,
        patience=None,
        progress=False,
    )
    generator = torch.Generator().manual_seed(seed)
    fit(
        _Posterior(model),
        {"x": rows.seen.to(settings.device), "targets": targets},
        options=options,
        generator=generator,
    )
