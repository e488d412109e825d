"""How many components: begin with many, and merge those that are not worth their cost."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import message_length, mml_weights
from anabranch.distributions import Hedged
from anabranch.models import MixtureModel, keep_components
from anabranch.procedures.fit_flow_mixture import Candidate, MixtureTask
from anabranch.procedures.gaussian_guard import epochs_of, unrecorded
from anabranch.procedures.mixture_epochs import joint_in_parts
from anabranch.procedures.rows import Rows
from anabranch.training import fit

# Steps of a level: with the rows of the last level's components, and free.
HELD_STEPS, FREE_STEPS = 150, 600
# Evaluations without improvement before a level stops.
PATIENCE = 8


def annihilated(candidate: Candidate, task: MixtureTask) -> Candidate:
    r"""Controlled annihilation: the mixture of least message length on the way down to one.

    Each level trains for a few hundred steps. Then components whose weight of least message length
    is zero, for they own fewer than c N rows, give their rows to the others; where there are none,
    the two that share most rows become one:

    .. math:: \arg\max_{i < j} \frac{\sum_n r_{in} r_{jn}}{\|r_i\|\, \|r_j\|}

    It first learns the rows of both, held fixed, for nothing else keeps a flow from leaving half of
    them to some third component. A level's score is its message length, with c N in place of half
    the number of parameters of a component, which for a flow is no measure of what it can do.

    Source: Figueiredo, Jain (2002), "Unsupervised learning of finite mixture models", IEEE TPAMI
    24; merging as in Ueda et al. (2000), "SMEM algorithm for mixture models"; for mixtures of flows
    proposed in Pires, Figueiredo (2020), arXiv:2009.00585.

    Args:
        candidate: at its start, all components of one kind.
        task: what it is fitted to, with ``component_cost`` for c.
    """
    candidate.stages.append("annihilate")
    n_rows = len(task.rows.z)
    cost = 2 * task.plan.model_options.component_cost * n_rows
    best, least = candidate, float("inf")
    while True:
        _train(candidate, task, FREE_STEPS)
        model = candidate.model
        length = message_length(
            n_rows * float(torch.logsumexp(_joint(model, task.validation), 0).mean()),
            model.mixture.log_weights.detach().exp().tolist(),
            n_rows,
            cost,
        )
        if length < least:
            best, least = candidate, length
        R = torch.softmax(_joint(model, task.rows), 0)
        if len(R) == 1:
            return best.as_it_is()
        smaller, R = _fewer(model, R, cost)
        candidate = replace(candidate, objective=candidate.objective.of(smaller))
        _train(candidate, task, HELD_STEPS, R)


def responsibilities(model: MixtureModel, rows: Rows) -> NDArray[np.float64]:
    """p(c|x) of all rows, (N, K)."""
    return torch.softmax(_joint(model, rows), 0).mT.cpu().numpy()


def hedged_with(candidate: Candidate, gaussian: MixtureModel) -> Candidate:
    """Hedged with the components of a Gaussian mixture, which is what it may go back to."""
    model = candidate.model
    gaussian.posterior.load_state_dict(model.posterior.state_dict())
    for own, other in zip(model.mixture.groups, gaussian.mixture.groups, strict=True):
        if isinstance(own, Hedged) and isinstance(other, Hedged):
            own.anchor.load_state_dict(other.anchor.state_dict())
    return replace(candidate, gaussian=gaussian.state_dict())


def _fewer(model: MixtureModel, R: Tensor, cost: float) -> tuple[MixtureModel, Tensor]:
    """The model without its poorest components, or with two made one; and who owns which rows."""
    alive = mml_weights(R.sum(1), cost) > 0
    if bool(alive.all()):
        first, second = closest_pair(R)
        merged = R.clone()
        merged[first] += merged[second]
        alive[second] = False
    else:
        merged = R / R[alive].sum(0).clamp_min(1e-12)
    keep = alive.nonzero().squeeze(1).tolist()
    return keep_components(model, keep), merged[keep]


def closest_pair(R: Tensor) -> tuple[int, int]:
    """The two components that share most rows, the larger one first.

    Args:
        R: (K, N) responsibilities.

    Example:
        >>> R = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.9, 0.9], [0.0, 0.0, 0.1]])
        >>> closest_pair(R)  # all rows of the last one are shared with the second
        (1, 2)
    """
    unit = torch.nn.functional.normalize(R.double(), dim=1)
    shared = (unit @ unit.mT).fill_diagonal_(-1)
    pair = divmod(int(shared.argmax()), len(R))
    first, second = sorted(pair, key=lambda k: -float(R[k].sum()))
    return first, second


@torch.no_grad()
def _joint(model: MixtureModel, rows: Rows) -> Tensor:
    return joint_in_parts(model, rows.z.to(model.temperature.device)).double()


def _train(
    candidate: Candidate, task: MixtureTask, steps: int, responsibilities: Tensor | None = None
) -> None:
    """Train for some steps, with responsibilities held fixed where they are given."""
    options, data, mixture = task.options, task.data, candidate.model.mixture
    epochs = epochs_of(steps, options, len(task.rows.z))
    epochs = min(epochs, task.plan.optimisation.max_epochs)
    hook = task.hook(candidate.model, data)
    if responsibilities is not None:
        data["responsibilities"] = responsibilities.mT.to(data["x"])
        hook = None
        with torch.no_grad():
            mixture.set_weights(responsibilities.sum(1).to(data["x"]))
    fit(
        candidate.objective,
        data,
        task.held_out,
        options=replace(unrecorded(options), max_epochs=epochs, patience=PATIENCE),
        generator=task.order(),
        noise=candidate.noise,
        on_epoch=hook,
        stage="annihilate",
    )
