"""A posterior network that is trained before any component exists."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from anabranch.objectives import Perturbation
from anabranch.procedures.fit_invariant import InvariantPosterior, fit_invariant, reorder_outputs
from anabranch.procedures.stages import Stages
from anabranch.training import FitOptions
from anabranch.training.precision import computes_bfloat16

LEARNING_RATE = 1e-3
BATCH_SIZE = 256
# Rows that judge between runs, and rows that are answered at a time.
SCORED_ROWS = 10_000
PART = 4096


@dataclass(frozen=True)
class Lessons:
    """How a posterior network is taught.

    Attributes:
        perturbation: what its answers should not depend on.
        n_components: K.
        weight: of the balance, in units of that of consistency.
        steps: of one run.
        n_runs: of which the one is kept whose answers for rows share most information with those
            for their perturbed copies.
        progress: as in `anabranch.training.FitOptions`.
        stages: of the fit that this is a part of.
    """

    perturbation: Perturbation
    n_components: int
    weight: float
    steps: int
    n_runs: int
    progress: bool | None = False
    stages: Stages = field(default_factory=lambda: Stages(None, resume=False))


def teach(
    network: nn.Module,
    x: Tensor,
    lessons: Lessons,
    seed: int,
    targets: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Train a network to answer alike for rows and their perturbations; no label is seen.

    Args:
        network: from (N, D) to (N, K) logits; left in evaluation mode.
        x: (N, D).
        lessons: how.
        seed: of the first run; those that follow count on.
        targets: known labels (N, K), rows of zeros where unknown: in the end, clusters take the
            numbers of the classes that they hold.

    Returns:
        The answers, (N, K).
    """
    start = copy.deepcopy(network.state_dict())
    runs = []
    for run in range(lessons.n_runs):
        network.load_state_dict(start)
        information = _teach(network, x, lessons, seed + run)
        runs.append((information, copy.deepcopy(network.state_dict())))
    network.load_state_dict(max(runs, key=lambda run: run[0])[1])
    R = _answers(network, x)
    if targets is None:
        return R
    _, order = linear_sum_assignment(-(targets.T @ R))
    reorder_outputs(network, order.tolist())
    return R[:, order]


@torch.no_grad()
def _answers(network: nn.Module, x: Tensor) -> NDArray[np.float64]:
    parts = [torch.log_softmax(network.eval()(part).mT, dim=0) for part in x.split(PART)]
    return torch.cat(parts, dim=1).exp().mT.cpu().double().numpy()


def _teach(network: nn.Module, x: Tensor, lessons: Lessons, seed: int) -> float:
    """One run; the information in nats."""
    batch_size = min(BATCH_SIZE, len(x))
    options = FitOptions(
        max_epochs=max(1, lessons.steps * batch_size // len(x)),
        batch_size=batch_size,
        learning_rate=LEARNING_RATE,
        patience=None,
        progress=lessons.progress,
    )
    how: dict[str, Any] = {
        "weight": lessons.weight,
        "half_precision": computes_bfloat16(x.device),
    }
    source = torch.Generator().manual_seed(seed)
    loop = lessons.stages.loop("network")
    fit_invariant(
        network, x, lessons.perturbation, options=options, loop=loop, generator=source, **how
    )
    judge = InvariantPosterior(network, lessons.perturbation, heads=(lessons.n_components,), **how)
    with torch.no_grad():
        terms = judge.eval()({"x": x[:SCORED_ROWS]}, generator=source).terms
    return float(terms["shared_information"])
