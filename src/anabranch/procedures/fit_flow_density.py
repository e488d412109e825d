"""How a flow becomes the density of a table: its Gaussian start, and its training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import StartOptions, hard_start, is_small
from anabranch.algorithms.product_mixtures import maximisation
from anabranch.contracts.objective import Objective
from anabranch.distributions import Chain, Distribution, Flow, Hedged
from anabranch.functional.ranks import smooth_targets
from anabranch.models import flow_density
from anabranch.models.specs import split_spec
from anabranch.objectives import CumulativeRegression, Likelihood
from anabranch.procedures.fit_by_rows import fit_rows, sets_by_rows
from anabranch.procedures.fit_objective import fit_objective
from anabranch.procedures.gaussian_guard import (
    PART,
    RACE_STEPS,
    convincing,
    epochs_of,
    fitted_share,
    gain_with_error,
    precise,
    race,
)
from anabranch.procedures.optimisation import (
    Optimisation,
    flow_options,
)
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.product_starts import Blocks, product_rows, set_product
from anabranch.procedures.rows import Rows, row_weights
from anabranch.training import FitOptions, FitResult, RowStream
from anabranch.training.fit import evaluate
from anabranch.transforms import Compose, Elementwise, TriangularAffine

Array = NDArray[np.float64]
Batch = dict[str, Tensor]
# Recipes whose flows are fitted to the empirical distribution function.
BY_CUMULATIVE = ("sic",)
# Weight of the penalty on the regression's coefficients, in rows.
RIDGE = 1.0


Density = Flow | Hedged | Chain


@dataclass(frozen=True)
class DensityTask:
    """What a flow is fitted to, and how.

    Attributes:
        optimisation: how the loop runs.
        reg_covar: smallest variance of the start.
        rows: to train on.
        validation: rows that judge.
        preparation: what made them, which dequantizes integers anew.
        seed: of the order of rows and of dequantization.
        stream: the rows to train on where they are not held, and ``rows`` are a sample of them.
    """

    optimisation: Optimisation
    reg_covar: float
    rows: Rows
    validation: Rows
    preparation: Preparation
    seed: int
    stream: RowStream | None = None

    @property
    def device(self) -> str:
        """Where the flow is trained."""
        return self.optimisation.device

    @property
    def options(self) -> FitOptions:
        """The settings of the loop."""
        n_rows = len(self.rows.z) if self.stream is None else self.stream.n_rows
        return flow_options(self.optimisation, n_rows)

    def order(self) -> torch.Generator:
        """A source of the order of rows."""
        return torch.Generator().manual_seed(self.seed)

    def renewal(self, data: dict[str, Tensor]) -> Callable[[int], None] | None:
        """New dequantization noise before each epoch, for integers."""
        raw = self.rows.raw
        if raw is None:
            return None

        def begin_epoch(epoch: int) -> None:
            # a source of its own for each epoch, so that a resumed run draws the same noise
            self.preparation.renew(raw, data["x"], self.seed + 1 + epoch)

        return begin_epoch


def set_gaussian(model: Density, task: DensityTask) -> None:
    """Make an untrained `flow_density` the Gaussian regression that fits best.

    On small tables its affine map stays as it is: its covariance is a regularised estimate, and
    training by likelihood would undo that.
    """
    flow = flow_part(model)
    Z, V = task.rows.z.double(), task.validation.z.double()
    _set_regression(flow, task, (Z, task.rows.context), (V, task.validation.context))
    if isinstance(model, Hedged):
        _copy_gaussian(flow, model.anchor)
    context = None if task.rows.context is None else task.rows.context[:PART]
    model.initialize(task.rows.z[:PART], context)


Given = tuple[Tensor, Tensor | None]  # rows, and what they are regressed on


def _set_regression(flow: Distribution, task: DensityTask, rows: Given, held_out: Given) -> None:
    """Set the linear map and the Gaussian behind it to the least squares of rows."""
    Z, V = rows[0].numpy(), held_out[0].numpy()
    regression, affine = _affine_parts(flow)
    if regression is not None:
        assert rows[1] is not None
        assert held_out[1] is not None
        coefficients, offset = _ridge(rows[1].double().numpy(), Z, task.rows.counts)
        Z = Z - rows[1].double().numpy() @ coefficients - offset
        V = V - held_out[1].double().numpy() @ coefficients - offset
        last = regression.conditioner.last
        with torch.no_grad():
            last.weight.copy_(torch.as_tensor(-coefficients.T))
            last.bias.copy_(torch.as_tensor(-offset).reshape(last.bias.shape))
    options = StartOptions(1, reg_covar=task.reg_covar)
    weights = row_weights(task.rows, task.validation)
    start = hard_start("gaussian", Z, V, np.ones((len(Z), 1)), options, weights).parameters
    affine.set_gaussian(torch.as_tensor(start.means[0]), torch.as_tensor(start.scale_tril[0]))
    affine.requires_grad_(not is_small(len(Z), 1, Z.shape[1]))


def set_simple(model: Density, task: DensityTask, blocks: Blocks) -> None:
    """Make an untrained `product_density` the simple one that fits best.

    Reals are the last block. Given a context, they are regressed on it and on the blocks before.
    """
    rows, validation = task.rows, task.validation
    split = product_rows(rows.z.double().numpy(), blocks)
    counts = np.ones(len(split)) if rows.counts is None else rows.counts
    set_product(model, maximisation(split, counts[:, None], task.reg_covar))
    for chain in (part for part in model.modules() if isinstance(part, Chain)):
        if rows.context is not None and blocks[-1][0] == "real":
            z, v = rows.z.double(), validation.z.double()
            given, other = (
                chain.contexts(x, part.context)[-1] for x, part in ((z, rows), (v, validation))
            )
            size = chain.sizes[-1]
            factor = chain.factors[-1]
            _set_regression(factor, task, (z[:, -size:], given), (v[:, -size:], other))
    context = None if rows.context is None else rows.context[:PART]
    model.initialize(rows.z[:PART], context)


def flow_part(model: Density) -> Flow:
    """The flow itself, without what it is hedged with."""
    flow = model.density if isinstance(model, Hedged) else model
    assert isinstance(flow, Flow)
    return flow


def _affine_parts(model: Distribution) -> tuple[Elementwise | None, TriangularAffine]:
    assert isinstance(model, Flow)
    assert isinstance(model.transform, Compose)
    first, *rest = model.transform.transforms
    if isinstance(first, TriangularAffine):
        return None, first
    assert isinstance(first, Elementwise)
    assert isinstance(rest[0], TriangularAffine)
    return first, rest[0]


def _ridge(C: Array, Z: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Coefficients (C, D) and offset (D,) of a regression; classes that sum to one are no harm."""
    mean, target = (_mean(columns, weights) for columns in (C, Z))
    centred = C - mean
    counted = centred if weights is None else weights[:, None] * centred
    gram = counted.T @ centred + RIDGE * np.eye(C.shape[1])
    coefficients: Array = np.linalg.solve(gram, counted.T @ (Z - target)).astype(np.float64)
    return coefficients, target - mean @ coefficients


def _mean(columns: Array, weights: Array | None) -> Array:
    """Means of columns, (D,)."""
    return columns.mean(0) if weights is None else weights @ columns / weights.sum()


def train_density(
    models: list[Density],
    task: DensityTask,
    *,
    resume: bool,
    fallback: Density | None = None,
) -> tuple[Density, FitResult]:
    """Train the model that is ahead after a few hundred steps, and leave it at its best state.

    What the flow weighs against the Gaussian that hedges it is learned from the rows that judge.
    Where the model is not convincingly better than the Gaussian that it started from, the Gaussian
    is what comes back; a fit that keeps its last state keeps it.

    Args:
        models: at their starts.
        task: what they are fitted to.
        resume: go on from the checkpoint.
        fallback: what has to be beaten instead of the Gaussian; needed where models are of spaces.
    """
    fallback = gaussian_part(models[0]) if fallback is None else fallback
    options, held_out = task.options, task.validation.batch(task.device)
    terms = evaluate(Likelihood(fallback), held_out, options.batch_size)
    score = options.monitored(terms)
    if _flow_of(models[0]) is None:  # nothing is left to train
        start = {"epoch": 0, "step": 0} | {f"validation_{k}": v for k, v in terms.items()}
        return fallback, FitResult([start], best_score=score)
    model = models[0]
    if len(models) > 1 and task.optimisation.max_epochs and not sets_by_rows(model):
        scores = [_head_start(model, task) for model in models]
        model = models[int(np.argmin(scores))]
    if sets_by_rows(model):
        result = _set_by_rows(model, task)
    else:
        result = _fit(_objective(model), task, resume=resume)
    if len(models) > 1:
        result.stages.insert(0, "race")
    if isinstance(model, Hedged) and task.optimisation.max_epochs:
        gain = log_prob_rows(model.density, held_out) - log_prob_rows(model.anchor, held_out)
        share = fitted_share(gain.nan_to_num(nan=-torch.inf), held_out.get("weights"))
        model.set_share(torch.tensor(share))
        terms = evaluate(Likelihood(model), held_out, options.batch_size)
        result.best_score = options.monitored(terms)
    if task.optimisation.keep == "last":
        return model, result
    gain = log_prob_rows(model, held_out) - log_prob_rows(fallback, held_out)
    result.gain = gain_with_error(gain, held_out.get("weights"))
    if not convincing(gain, held_out.get("weights")):
        result.best_epoch, result.best_score = 0, score
        return fallback, result
    return model, result


def _set_by_rows(model: Density, task: DensityTask) -> FitResult:
    """Let rows set the parts that they set at once, in place of steps along gradients."""
    if task.stream is not None:
        raise ValueError("flow is set by all rows at once, which a streamed fit does not hold")
    if not isinstance(model.density if isinstance(model, Hedged) else model, Flow):
        raise ValueError("flow is set by rows of real columns alone, without angles and places")
    rows = task.rows.batch(task.device)
    if task.optimisation.max_epochs:
        fit_rows(flow_part(model), rows["x"], rows.get("weights"))
    terms = evaluate(Likelihood(model), task.validation.batch(task.device), task.options.batch_size)
    entry = {"epoch": 1, "step": 1} | {f"validation_{k}": v for k, v in terms.items()}
    return FitResult([entry], best_score=task.options.monitored(terms), best_epoch=1, steps=1)


def fit_likelihood(model: Distribution, task: DensityTask, *, resume: bool = False) -> FitResult:
    """Maximise the likelihood of rows, and leave the model at its best state, or its last."""
    return _fit(Likelihood(model), task, resume=resume)


def _fit(objective: Objective, task: DensityTask, *, resume: bool = False) -> FitResult:
    if task.stream is not None and isinstance(objective, CumulativeRegression):
        raise ValueError("flow learns from ranks of all rows, which a streamed fit does not hold")
    data, validation = _batches(objective, task)
    return fit_objective(
        objective,
        data if task.stream is None else task.stream,
        validation,
        options=task.options,
        optimisation=task.optimisation,
        seed=task.seed,
        resume=resume,
        on_epoch=task.renewal(data) if task.stream is None else None,
    )


def _objective(model: Density) -> Objective:
    """What training minimises: the likelihood, unless the flow's recipe has its own."""
    spec: Any = _flow_of(model)
    flow = model.density if isinstance(model, Hedged) else model
    if isinstance(flow, Flow) and split_spec("flow", spec)[0] in BY_CUMULATIVE:
        return CumulativeRegression(flow)
    return Likelihood(model)


def _batches(objective: Objective, task: DensityTask) -> tuple[Batch, Batch]:
    """Rows to train on and those that judge, as the objective takes them."""
    data, validation = (rows.batch(task.device) for rows in (task.rows, task.validation))
    if isinstance(objective, CumulativeRegression):
        for batch in (data, validation):
            batch["target"] = smooth_targets(batch["x"], batch.get("weights"))
    return data, validation


def _flow_of(model: Density) -> object:
    recipe: Any = model.recipe
    return recipe["arguments"]["flow"]


def gaussian_part(model: Density) -> Flow:
    """The regression and the affine map of a `flow_density`, over a normal base."""
    recipe: Any = model.recipe
    gaussian = flow_density(**{**recipe["arguments"], "flow": None})
    assert isinstance(gaussian, Flow)
    _copy_gaussian(flow_part(model), gaussian)
    return gaussian.to(next(model.parameters()).device)


def _copy_gaussian(flow: Flow, gaussian: Distribution) -> None:
    for own, other in zip(_affine_parts(gaussian), _affine_parts(flow), strict=True):
        if own is not None and other is not None:
            own.load_state_dict(other.state_dict())


def _head_start(model: Density, task: DensityTask) -> float:
    """How far a few hundred steps get a model: the best validation score."""
    options, objective = task.options, _objective(model)
    data, validation = _batches(objective, task)
    return race(
        objective,
        data,
        validation,
        # however long the training is to be: one that is resumed may be longer
        replace(options, max_epochs=epochs_of(RACE_STEPS, options, len(task.rows.z))),
        seed=task.seed,
        on_epoch=task.renewal(data),
    )


def log_prob_rows(model: Distribution, data: dict[str, Tensor]) -> Tensor:
    """Log-density of rows as the flow sees them, (n,), in float64."""
    x, context = data["x"], data.get("context")
    contexts = [None] * (len(x) // PART + 1) if context is None else context.split(PART)
    parts = zip(x.split(PART), contexts, strict=False)
    return torch.cat([precise_log_prob(model, part, given) for part, given in parts])


def precise_log_prob(model: Distribution, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Log-density in float64; rows that overflow float32 are done again in float64."""
    return precise(lambda flow, rows, given: flow.log_prob(rows, given), model, x, context)
