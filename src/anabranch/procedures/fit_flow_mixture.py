"""The stages of a fit of a mixture of flows: teach q, pretrain, race, train."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anabranch.algorithms.gaussians import RowWeights
from anabranch.functional.averages import weighted_mean
from anabranch.models import MixtureModel
from anabranch.objectives import Loss, MixtureObjective, cross_entropy, marginal_joint
from anabranch.procedures.fit_by_rows import Rounds, fit_mixture_by_rows, sets_by_rows
from anabranch.procedures.gaussian_guard import (
    RACE_STEPS,
    convincing,
    epochs_of,
    gain_with_error,
    hedge_weights,
    race,
    settle,
    unrecorded,
)
from anabranch.procedures.invariant_lessons import Lessons, teach
from anabranch.procedures.mixture_epochs import PART, epoch_hook, joint_in_parts
from anabranch.procedures.mixture_options import FlowMixtureOptions
from anabranch.procedures.mixture_starts import Start
from anabranch.procedures.optimisation import run_identity, with_rate
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.product_starts import ProductStart
from anabranch.procedures.rows import Rows, row_weights
from anabranch.procedures.training_run import LastState
from anabranch.training import (
    CosineDecay,
    ExponentialDecay,
    FitOptions,
    FitResult,
    RampUp,
    RowStream,
    Schedule,
    ScheduledBuffer,
    Snapshots,
    fit,
)
from anabranch.training.fit import evaluate

Data = dict[str, Tensor]
State = dict[str, Tensor]
# Steps over which consistency comes in, so that q finds the components first.
RAMP_STEPS = 400
# Rounds of EM by which starts are compared, where rows set the components.
RACE_ROUNDS = 3
# Of teaching q.
TEACH_STEPS = 300
# A q that is certain of the start has hardly any gradient left, and keeps its mistakes.
SMOOTHING = 0.1


@dataclass(frozen=True)
class MixtureTask:
    """What a mixture of flows is fitted to, and how.

    Attributes:
        plan: the settings.
        rows: to train on.
        validation: rows that judge.
        targets: (N, K) labels, rows of zeros where unknown, or None.
        preparation: what made them, which dequantizes integers anew.
        seed: of the order of rows, of dequantization, and of perturbations.
        stream: the rows to train on where they are not held, and ``rows`` are a sample of them.
    """

    plan: FlowMixtureOptions
    rows: Rows
    validation: Rows
    targets: NDArray[np.float64] | None
    preparation: Preparation
    seed: int
    stream: RowStream | None = None

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return len(self.rows.z) if self.stream is None else self.stream.n_rows

    @property
    def options(self) -> FitOptions:
        """The settings of the loop."""
        return self.plan.options(self.n_rows)

    @property
    def data(self) -> Data:
        """Tensors to train on, new ones each time: what changes with the epochs is theirs."""
        return self.rows.batch(self.plan.optimisation.device)

    @property
    def weights(self) -> RowWeights | None:
        """What rows count; None for one each."""
        return row_weights(self.rows, self.validation)

    @property
    def held_out(self) -> Data:
        """Tensors that judge."""
        return self.validation.batch(self.plan.optimisation.device)

    def order(self) -> torch.Generator:
        """A source of the order of rows."""
        return torch.Generator().manual_seed(self.seed)

    def noise(self) -> torch.Generator:
        """A source of perturbations."""
        return torch.Generator().manual_seed(self.seed)

    def hook(self, model: MixtureModel, data: Data) -> Callable[[int], Tensor | None] | None:
        """What changes before each epoch."""
        return epoch_hook(model, data, self.rows, self.plan, self.preparation, self.seed)


@dataclass(frozen=True)
class Candidate:
    """A model at its start.

    Attributes:
        name: of the start.
        objective: with the model in it.
        gaussian: the state in which the model is a Gaussian mixture.
        noise: source of perturbations, which the stages before the training share.
        stages: names of the fits that it has been through.
    """

    name: str
    objective: MixtureObjective
    gaussian: State
    noise: torch.Generator
    stages: list[str] = field(default_factory=list)

    @property
    def model(self) -> MixtureModel:
        """The model."""
        model = self.objective.model
        assert isinstance(model, MixtureModel)
        return model

    def as_it_is(self) -> "Candidate":
        """With its present state for the one to go back to."""
        return replace(self, gaussian=copy.deepcopy(self.model.state_dict()))


@dataclass(frozen=True)
class Trained:
    """What training came to: what the loop did, and states of the model on its way."""

    result: FitResult
    snapshots: list[tuple[int, State]]


class _Posterior(nn.Module):
    """The posterior network alone, taught fixed probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Data) -> Loss:
        log_q = torch.log_softmax(self.network(batch["x"]).mT, dim=0)
        entropy = cross_entropy(log_q, batch["targets"].mT)
        return Loss(weighted_mean(entropy, batch.get("weights")), {})


def teach_posterior(
    candidate: Candidate,
    task: MixtureTask,
    answers: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> None:
    """Fit q to what it should say of rows, (n, K), asked of as many as its steps go through."""
    optimisation, n_rows = task.plan.optimisation, len(task.rows.z)
    if not optimisation.max_epochs:
        return
    order, size = task.order(), min(optimisation.batch_size, n_rows)
    chosen = torch.randperm(n_rows, generator=order)[: TEACH_STEPS * size]
    seen, targets = task.rows.seen[chosen], torch.as_tensor(answers(chosen.numpy()))
    in_epoch = len(chosen) // size
    epochs = max(1, TEACH_STEPS // in_epoch)
    network = candidate.model.posterior.requires_grad_(True)
    data = {"x": seen, "targets": targets.to(seen.dtype)}
    if task.rows.weights is not None:
        data["weights"] = task.rows.weights[chosen]
    fit(
        _Posterior(network),
        {name: tensor.to(optimisation.device) for name, tensor in data.items()},
        options=FitOptions(
            max_epochs=epochs, batch_size=size, learning_rate=1e-2, patience=None, progress=False
        ),
        schedules=[CosineDecay(epochs * in_epoch)],
        generator=order,
        stage="teach q",
    )
    candidate.stages.append("teach q")


def teach_start(
    candidate: Candidate, task: MixtureTask, responsibilities: NDArray[np.float64]
) -> None:
    """Fit q to the responsibilities of the start, so that the first steps do not undo it."""
    n_components = responsibilities.shape[1]
    smooth = (1 - SMOOTHING) * responsibilities + SMOOTHING / n_components
    teach_posterior(candidate, task, lambda rows: smooth[rows])


def teach_end(candidate: Candidate, task: MixtureTask) -> None:
    """Fit q to p(c|x) of the trained model, and to the labels where they are known."""
    device, targets = task.plan.optimisation.device, task.targets

    @torch.no_grad()
    def answers(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        joint = joint_in_parts(candidate.model, task.rows.z[torch.as_tensor(rows)].to(device))
        found = torch.softmax(joint, 0).mT.double().cpu().numpy()
        if targets is None:
            return found
        return np.where(targets[rows].sum(1, keepdims=True) > 0, targets[rows], found)

    teach_posterior(candidate, task, answers)


def teach_invariance(objective: MixtureObjective, task: MixtureTask) -> NDArray[np.float64]:
    """Train q of a mixture by itself, and give its answers, (N, K); see `teach`."""
    plan, rows, model = task.plan, task.rows, objective.model
    if objective.perturbation is None:
        raise ValueError("invariant inference needs a perturbation")
    lessons = Lessons(
        objective.perturbation,
        model.mixture.n_components,
        plan.balance / plan.weight,
        plan.consistency.steps,
        plan.n_init,
        None if plan.optimisation.verbose else False,
    )
    targets = None if rows.targets is None else rows.targets.double().numpy()
    seen = rows.seen.to(plan.optimisation.device)
    return teach(model.posterior, seen, lessons, task.seed, targets)


def pretrain(
    candidate: Candidate, task: MixtureTask, responsibilities: NDArray[np.float64]
) -> None:
    """Fit each component to the rows that trusted responsibilities give it."""
    if not task.plan.optimisation.max_epochs or sets_by_rows(candidate.model):
        return
    options, rate = with_rate(unrecorded(task.options), len(task.rows.z))
    data = task.data
    data["responsibilities"] = torch.as_tensor(responsibilities).to(data["x"])
    fit(
        candidate.objective,
        data,
        task.held_out,
        options=replace(options, monitor="nll"),
        schedules=[rate],
        generator=task.order(),
        noise=candidate.noise,
        stage="pretrain",
    )
    candidate.stages.append("pretrain")


def head_start(candidate: Candidate, task: MixtureTask) -> float:
    """How far a few hundred steps get a candidate: the best validation score."""
    options, data = task.options, task.data
    candidate.stages.append("race")
    if sets_by_rows(candidate.model):
        few = min(RACE_ROUNDS, task.plan.optimisation.max_epochs)
        return _rounds(candidate, task, few).best_score
    epochs = epochs_of(RACE_STEPS, options, len(task.rows.z))
    return race(
        candidate.objective,
        data,
        task.held_out,
        replace(options, max_epochs=min(epochs, task.plan.optimisation.max_epochs)),
        seed=task.seed,
        noise=candidate.noise,
        on_epoch=task.hook(candidate.model, data),
    )


def ahead(starts: Iterable[tuple[Candidate, Start | ProductStart]], task: MixtureTask) -> Candidate:
    """The candidate that is ahead after a few hundred steps, where there are several."""
    candidates = []
    for candidate, start in starts:
        if candidate.objective.amortised and task.plan.inference != "invariant":
            teach_start(candidate, task, start.responsibilities)
        candidates.append(candidate.as_it_is())
        if start.trusted:
            pretrain(candidate, task, start.responsibilities)
    if len(candidates) == 1:
        return candidates[0]
    scores = [head_start(candidate, task) for candidate in candidates]
    return candidates[int(np.argmin(scores))]


def train(candidate: Candidate, task: MixtureTask, *, resume: bool) -> Trained:
    """Minimise the objective from the model's present state; leaves it at its best state.

    Where that is not convincingly better than the Gaussian mixture that it started from, the model
    goes back to it; a fit with labels, or one that keeps its last state, does not. What flows weigh
    against the Gaussians that hedge them is learned from the rows that judge.
    """
    if sets_by_rows(candidate.model):
        return _set_by_rows(candidate, task)
    data, held_out = task.data, task.held_out
    model, objective = candidate.model, candidate.objective
    options, rate = with_rate(task.options, task.n_rows)
    schedules = [rate, *_schedules(candidate, task)]
    result = fit(
        objective,
        data if task.stream is None else task.stream,
        held_out,
        options=options,
        schedules=schedules,
        generator=task.order(),
        noise=task.noise(),
        resume=resume and options.checkpoint is not None and Path(options.checkpoint).exists(),
        on_epoch=task.hook(model, data) if task.stream is None else None,
        identity=run_identity(task.plan.optimisation, model, options),
        stage="train",
    )
    result.stages[:0] = candidate.stages
    last = next((schedule for schedule in schedules if isinstance(schedule, LastState)), None)
    if last is not None:
        last.restore(result)
    _conclude(candidate, task, result, guarded=last is None and task.rows.targets is None)
    if not candidate.objective.amortised:
        teach_end(candidate, task)
        result.stages.append("teach q")
    recorders = [schedule for schedule in schedules if isinstance(schedule, Snapshots)]
    return Trained(result, recorders[0].states if recorders else [])


def _set_by_rows(candidate: Candidate, task: MixtureTask) -> Trained:
    """EM whose components rows set, in place of steps along gradients."""
    keeps_last = task.plan.optimisation.keep == "last"
    result = _rounds(candidate, task, task.plan.optimisation.max_epochs, keeps_last=keeps_last)
    result.stages[:0] = candidate.stages
    guarded = not keeps_last and task.rows.targets is None
    _conclude(candidate, task, result, guarded=guarded)
    teach_end(candidate, task)
    result.stages.append("teach q")
    return Trained(result, [])


def _rounds(
    candidate: Candidate, task: MixtureTask, most: int, *, keeps_last: bool = False
) -> FitResult:
    plan = task.plan
    refused = {
        "inference": plan.inference != "exact",
        "missing": task.rows.draws is not None or task.validation.draws is not None,
        "fit_options.checkpoint": task.options.checkpoint is not None,
        "X": task.stream is not None,
        "model_options.levels": task.rows.raw is not None,
    }
    if any(refused.values()):
        name = next(name for name, there in refused.items() if there)
        raise ValueError(
            f"{name}: a flow that rows set at once, such as 'vine', is fitted by EM to all rows, "
            "complete and real, with inference='exact' and without checkpoints"
        )
    mixture = candidate.model.mixture
    patience = plan.optimisation.patience
    return fit_mixture_by_rows(
        mixture,
        task.data,
        task.held_out,
        Rounds(
            most,
            most if patience is None else patience,
            learn_weights=plan.given_weights(mixture.n_components) is None,
            keeps_last=keeps_last,
        ),
    )


def _conclude(candidate: Candidate, task: MixtureTask, result: FitResult, *, guarded: bool) -> None:
    """Settle the hedge; guarded, go back to the Gaussian mixture that training did not beat."""
    model, held_out, options = candidate.model, task.held_out, task.options
    trained = copy.deepcopy(model.state_dict())
    model.load_state_dict(candidate.gaussian)
    before = log_prob_rows(model, held_out)
    anchors = hedge_weights(model.mixture, anchors=True)
    model.load_state_dict(trained)
    given = task.plan.given_weights(model.mixture.n_components) is not None
    counts = held_out.get("weights")
    settle(model.mixture, anchors, held_out["x"], counts, given=given)
    gain = log_prob_rows(model, held_out) - before
    result.gain = gain_with_error(gain, counts)
    if guarded and not convincing(gain, counts):
        model.load_state_dict(candidate.gaussian)
        result.best_epoch = 0
    result.best_score = options.monitored(
        evaluate(candidate.objective, held_out, options.batch_size)
    )


def log_prob_rows(model: MixtureModel, data: Data) -> Tensor:
    """Log-density of rows, (n,), without gradients and in float64; missing cells summed out."""
    with torch.no_grad():
        if "draws" not in data:
            return torch.logsumexp(joint_in_parts(model, data["x"]).double(), 0)
        draws = data["draws"], data["draws_log_prob"]
        parts = zip(*(part.split(PART // draws[0].shape[1]) for part in draws), strict=True)
        joint = [marginal_joint(model.mixture, *part) for part in parts]
        return torch.logsumexp(torch.cat(joint, 1).double(), 0)


def _schedules(candidate: Candidate, task: MixtureTask) -> list[Schedule]:
    plan, options, n_rows = task.plan, task.options, task.n_rows
    model, objective = candidate.model, candidate.objective
    schedules: list[Schedule] = []
    if plan.inference == "variational":
        settings = plan.temperature
        decay = ExponentialDecay(1.0, rate=settings.decay, floor=settings.floor)
        length = max(1, n_rows // options.batch_size) if settings.unit == "epoch" else 1
        schedules.append(
            ScheduledBuffer("temperature", model.temperature, lambda step: decay(step // length))
        )
    if objective.stochastic and plan.inference != "invariant":
        schedules.append(ScheduledBuffer("ramp", objective.ramp, RampUp(RAMP_STEPS)))
    # last: they keep what others set
    if plan.snapshots:
        schedules.append(Snapshots(model, plan.snapshots))
    if plan.optimisation.keep == "last":
        schedules.append(LastState(model))
    return schedules
