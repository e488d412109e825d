"""Runs of expectation maximisation from several starts, of which the best is kept."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from tqdm import tqdm

from anabranch.algorithms.gaussians import (
    GaussianParameters,
    GaussianPrior,
    annihilate,
    gaussian_em_path,
)
from anabranch.algorithms.gaussians.seeding import broad_start
from anabranch.estimators.gaussian_plan import GaussianPlan, LabelledRows

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianFit:
    """One run: its mixture, the objective per row before each step, and how it ended.

    Attributes:
        parameters: the mixture.
        objectives: one for each step, in nats.
        converged: whether the gain fell below the tolerance.
        n_iter: steps.
        lengths: of annihilation, description lengths by numbers of components.
    """

    parameters: GaussianParameters
    objectives: list[float]
    converged: bool
    n_iter: int
    lengths: dict[int, float] = field(default_factory=dict)

    @property
    def bound(self) -> float:
        """The last objective; minus infinity where no step was made."""
        return self.objectives[-1] if self.objectives else -np.inf


@dataclass(frozen=True)
class LastFit:
    """Where a warm start goes on: the mixture, and the objective it had reached."""

    parameters: GaussianParameters
    bound: float


def best_fit(
    rows: LabelledRows,
    n_components: int,
    plan: GaussianPlan,
    random_state: np.random.RandomState,
    last: LastFit | None = None,
) -> GaussianFit:
    """The run of the highest objective, from as many starts as the plan has.

    Args:
        rows: to be fitted.
        n_components: K.
        plan: the settings.
        random_state: of the starts.
        last: the fit to go on from, which is then the only start.

    Warns:
        ConvergenceWarning: where that run has not converged.
    """
    runs = _runs(rows, n_components, plan, random_state, last)
    best = next(runs)
    for run in runs:
        if run.bound > best.bound:
            best = run
    if not best.converged and plan.max_iter:  # without a step, the start is what was asked for
        warn_not_converged(best.n_iter)
    return best


def warn_not_converged(n_iter: int) -> None:
    """Say that a fit has used up its steps, in scikit-learn's words, which filters know."""
    warnings.warn(
        "Best performing initialization did not converge. Try different init parameters, or "
        "increase max_iter, tol, or check for degenerate data. It made all the steps of "
        f"max_iter={n_iter}",
        ConvergenceWarning,
        stacklevel=4,
    )


def _runs(
    rows: LabelledRows,
    n_components: int,
    plan: GaussianPlan,
    random_state: np.random.RandomState,
    last: LastFit | None,
) -> Iterator[GaussianFit]:
    prior = plan.prior(rows.X, n_components)
    for number in range(1 if last is not None else plan.n_init):
        if plan.is_auto and last is None:
            start = broad_start(rows.X, n_components, plan.model, random_state)
        elif last is None:
            start = plan.start(rows, n_components, prior, random_state)
        else:
            start = last.parameters
        if plan.is_auto:
            yield _annihilated(rows.X, start, plan, prior)
        else:
            before = -np.inf if last is None else last.bound
            yield _converged(rows, start, plan, prior, _Progress(plan, number, before))


class _Progress:
    """The objective from step to step, shown in a bar where the plan wants it."""

    def __init__(self, plan: GaussianPlan, number: int, before: float) -> None:
        self.plan, self.before, self.gain, self.steps = plan, before, np.inf, 0
        self.bar = tqdm(
            total=plan.max_iter,
            desc=f"EM, start {number + 1}",
            unit="step",
            disable=None if plan.verbose else True,  # None: where somebody looks on
        )

    def seen(self, objective: float) -> None:
        self.gain, self.before, self.steps = objective - self.before, objective, self.steps + 1
        if self.steps % self.plan.verbose_interval == 0:
            gain = f", gain {self.gain:.2e}" if int(self.plan.verbose) > 1 else ""
            self.bar.set_postfix_str(f"objective {objective:.4f}{gain}", refresh=False)
            self.bar.update(self.steps - self.bar.n)


def _converged(
    rows: LabelledRows,
    start: GaussianParameters,
    plan: GaussianPlan,
    prior: GaussianPrior | None,
    progress: _Progress,
) -> GaussianFit:
    """EM from a start, until the gain is below the tolerance."""
    path = gaussian_em_path(
        rows.X,
        start,
        plan.model,
        known=rows.targets,
        prior=prior,
        restart=True,
        weights=rows.weights,
    )
    objectives: list[float] = []
    parameters, converged = start, False
    with progress.bar:
        for objective, improved in islice(path, plan.max_iter):
            parameters = improved
            objectives.append(objective)
            progress.seen(objective)
            if abs(progress.gain) < plan.tol:
                converged = True
                break
    return GaussianFit(parameters, objectives, converged, len(objectives))


def _annihilated(
    X: Array, start: GaussianParameters, plan: GaussianPlan, prior: GaussianPrior | None
) -> GaussianFit:
    """Annihilation from a start of too many components."""
    found = annihilate(
        X, start, plan.model, prior=prior, max_iter=plan.max_iter, tol=plan.tol / 100
    )
    objectives = [-min(found.lengths.values()) / len(X)]
    return GaussianFit(found.parameters, objectives, found.converged, found.n_iter, found.lengths)
