"""A posterior network of a mixture of flows that is trained before any component exists."""

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators.trainer import MixtureTask
from anabranch.objectives import MixtureObjective
from anabranch.procedures.invariant_lessons import Lessons, teach


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
