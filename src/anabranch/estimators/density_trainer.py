"""How a flow becomes the density of a table: its Gaussian start, and its training."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import StartOptions, hard_start, is_small
from anabranch.archive import fingerprint
from anabranch.distributions import Distribution, Flow
from anabranch.estimators.rows import Rows
from anabranch.estimators.trainer import (
    RACE_STEPS,
    convincing,
    fit_options,
    rate_schedule,
    unrecorded,
)
from anabranch.models import flow_density
from anabranch.objectives import Likelihood
from anabranch.training import FitResult, fit
from anabranch.training.fit import evaluate
from anabranch.transforms import Compose, Elementwise, TriangularAffine

if TYPE_CHECKING:
    from anabranch.estimators.flow_density import FlowDensity

Array = NDArray[np.float64]
# Weight of the penalty on the regression's coefficients, in rows.
RIDGE = 1.0
# Rows that a pass without gradients takes at a time.
PART = 4096


def set_gaussian(model: Flow, rows: Rows, validation: Rows, reg_covar: float) -> None:
    """Make an untrained `flow_density` the Gaussian regression that fits best.

    On small tables its affine map stays as it is: its covariance is a regularised estimate, and
    training by likelihood would undo that.
    """
    Z, V = rows.z.double().numpy(), validation.z.double().numpy()
    regression, affine = _affine_parts(model)
    if regression is not None:
        assert rows.context is not None
        assert validation.context is not None
        coefficients, offset = _ridge(rows.context.double().numpy(), Z)
        Z = Z - rows.context.double().numpy() @ coefficients - offset
        V = V - validation.context.double().numpy() @ coefficients - offset
        last = regression.conditioner.last
        with torch.no_grad():
            last.weight.copy_(torch.as_tensor(-coefficients.T))
            last.bias.copy_(torch.as_tensor(-offset).reshape(last.bias.shape))
    options = StartOptions(1, reg_covar=reg_covar)
    start = hard_start("gaussian", Z, V, np.ones((len(Z), 1)), options).parameters
    affine.set_gaussian(torch.as_tensor(start.means[0]), torch.as_tensor(start.scale_tril[0]))
    affine.requires_grad_(not is_small(len(Z), 1, Z.shape[1]))


def _affine_parts(model: Flow) -> tuple[Elementwise | None, TriangularAffine]:
    assert isinstance(model.transform, Compose)
    first, *rest = model.transform.transforms
    if isinstance(first, TriangularAffine):
        return None, first
    assert isinstance(first, Elementwise)
    assert isinstance(rest[0], TriangularAffine)
    return first, rest[0]


def _ridge(C: Array, Z: Array) -> tuple[Array, Array]:
    """Coefficients (C, D) and offset (D,) of a regression; classes that sum to one are no harm."""
    mean, target = C.mean(0), Z.mean(0)
    centred = C - mean
    gram = centred.T @ centred + RIDGE * np.eye(C.shape[1])
    coefficients = np.linalg.solve(gram, centred.T @ (Z - target))
    return coefficients, target - mean @ coefficients


def train_density(
    models: list[Flow],
    rows: Rows,
    validation: Rows,
    settings: "FlowDensity",
    seed: int,
    *,
    resume: bool,
) -> tuple[Flow, FitResult]:
    """Train the model that is ahead after a few hundred steps, and leave it at its best state.

    Where that is not convincingly better than the Gaussian that it started from, the Gaussian is
    what comes back.
    """
    gaussian = gaussian_part(models[0])
    options = fit_options(settings, len(rows.z))  # pyright: ignore[reportArgumentType]
    held_out = validation.batch(settings.device)
    terms = evaluate(Likelihood(gaussian), held_out, options.batch_size)
    score = terms[options.monitor]
    if settings.flow is None:  # nothing is left to train
        start = {"epoch": 0, "step": 0} | {f"validation_{k}": v for k, v in terms.items()}
        return gaussian, FitResult([start], best_score=score)
    first = 0
    if len(models) > 1 and settings.max_epochs:
        scores = [_race(model, rows, validation, settings, seed) for model in models]
        first = int(np.argmin(scores))
    model = models[first]
    resume = resume and options.checkpoint is not None and Path(options.checkpoint).exists()
    data = rows.batch(settings.device)
    identity = {"start": fingerprint(model.state_dict())} if options.checkpoint else None
    result = fit(
        Likelihood(model),
        data,
        held_out,
        options=options,
        schedules=[rate_schedule(settings.patience, options, len(rows.z))],
        generator=torch.Generator().manual_seed(seed),
        resume=resume,
        on_epoch=_renewal(data, rows, settings, seed),
        # the checkpoint of another start has the same shapes
        identity=identity,
    )
    if convincing(log_prob_rows(model, held_out) - log_prob_rows(gaussian, held_out)):
        return model, result
    result.best_epoch, result.best_score = 0, score
    return gaussian, result


def gaussian_part(model: Flow) -> Flow:
    """The regression and the affine map of a `flow_density`, over a normal base."""
    recipe: Any = model.recipe
    gaussian = flow_density(**{**recipe["arguments"], "flow": None})
    for own, other in zip(_affine_parts(gaussian), _affine_parts(model), strict=True):
        if own is not None and other is not None:
            own.load_state_dict(other.state_dict())
    return gaussian.to(next(model.parameters()).device)


def _race(model: Flow, rows: Rows, validation: Rows, settings: "FlowDensity", seed: int) -> float:
    """Train for a few hundred steps, and tell how far that gets: the validation score."""
    options = unrecorded(
        fit_options(settings, len(rows.z))  # pyright: ignore[reportArgumentType]
    )
    epochs = max(1, RACE_STEPS * options.batch_size // len(rows.z))
    data = rows.batch(settings.device)
    return fit(
        Likelihood(model),
        data,
        validation.batch(settings.device),
        # however long the training is to be: one that is resumed may be longer
        options=replace(options, max_epochs=epochs, patience=None),
        generator=torch.Generator().manual_seed(seed),
        on_epoch=_renewal(data, rows, settings, seed),
    ).best_score


def _renewal(
    data: dict[str, Tensor], rows: Rows, settings: "FlowDensity", seed: int
) -> Callable[[int], Any] | None:
    """New dequantization noise before each epoch, for integers."""
    raw = rows.raw
    if raw is None:
        return None

    def begin_epoch(epoch: int) -> None:
        # a source of its own for each epoch, so that a resumed run draws the same noise
        settings.preparation_.renew(raw, data["x"], seed + 1 + epoch)

    return begin_epoch


@torch.no_grad()
def log_prob_rows(model: Distribution, data: dict[str, Tensor]) -> Tensor:
    """Log-density of rows as the flow sees them, (n,), in float64."""
    x, context = data["x"], data.get("context")
    contexts = [None] * (len(x) // PART + 1) if context is None else context.split(PART)
    parts = zip(x.split(PART), contexts, strict=False)
    return torch.cat([precise_log_prob(model, part, given) for part, given in parts])


@torch.no_grad()
def precise_log_prob(model: Distribution, x: Tensor, context: Tensor | None) -> Tensor:
    """Log-density in float64; rows that overflow float32 are done again in float64."""
    log_prob = model.log_prob(x, context).double()
    overflow = ~torch.isfinite(log_prob)
    if bool(overflow.any()):
        precise = copy.deepcopy(model).double()
        given = None if context is None else context[overflow].double()
        log_prob[overflow] = precise.log_prob(x[overflow].double(), given)
    return log_prob
