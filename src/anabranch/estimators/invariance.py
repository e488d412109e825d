"""A posterior network that is trained before any component exists."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from anabranch.estimators.epochs import log_q_in_parts
from anabranch.estimators.rows import Rows
from anabranch.models import MixtureModel
from anabranch.models.mixtures.invariant import InvariantPosterior, fit_invariant, reorder_outputs
from anabranch.training import FitOptions, Perturbation
from anabranch.training.precision import computes_bfloat16

if TYPE_CHECKING:
    from anabranch.estimators.flow_mixture import FlowMixture

LEARNING_RATE = 1e-3
BATCH_SIZE = 256
# Rows that judge between runs.
SCORED_ROWS = 10_000


def teach_invariance(
    model: MixtureModel, rows: Rows, settings: "FlowMixture", seed: int
) -> NDArray[np.float64]:
    """Train q to answer alike for rows and their perturbations, and give its answers, (N, K).

    Of ``n_init`` runs the one is kept whose answers for rows share most information with those for
    their perturbed copies, which sees no labels.
    """
    seen = rows.seen.to(settings.device)
    start = copy.deepcopy(model.posterior.state_dict())
    runs = []
    for run in range(settings.n_init):
        model.posterior.load_state_dict(start)
        information = _teach(model, seen, settings, seed + run)
        runs.append((information, copy.deepcopy(model.posterior.state_dict())))
    model.posterior.load_state_dict(max(runs, key=lambda run: run[0])[1])
    R = _answers(model, seen)
    if rows.targets is None:
        return R
    # clusters that were found without labels take the numbers of the classes they hold
    _, order = linear_sum_assignment(-(rows.targets.double().numpy().T @ R))
    reorder_outputs(model.posterior, order.tolist())
    return R[:, order]


@torch.no_grad()
def _answers(model: MixtureModel, seen: Tensor) -> NDArray[np.float64]:
    return log_q_in_parts(model.eval(), seen).exp().mT.cpu().double().numpy()


def _teach(model: MixtureModel, seen: Tensor, settings: "FlowMixture", seed: int) -> float:
    """One run; the information in nats."""
    if not isinstance(model.perturbation, Perturbation):
        raise ValueError("invariant inference needs a perturbation")
    batch_size = min(BATCH_SIZE, len(seen))
    options = FitOptions(
        max_epochs=max(1, settings.invariant_steps * batch_size // len(seen)),
        batch_size=batch_size,
        learning_rate=LEARNING_RATE,
        patience=None,
        progress=None if settings.verbose else False,
    )
    how: dict[str, Any] = {
        "weight": model.balance_weight / model.consistency_weight,
        "half_precision": computes_bfloat16(settings.device),
        "generator": torch.Generator().manual_seed(seed),
    }
    fit_invariant(model.posterior, seen, model.perturbation, options=options, **how)
    n_components = model.mixture.n_components
    judge = InvariantPosterior(model.posterior, model.perturbation, heads=(n_components,), **how)
    with torch.no_grad():
        terms = judge.eval()({"x": seen[:SCORED_ROWS]}).terms
    return float(terms["shared_information"])
