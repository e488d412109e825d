"""Variational inference: a distribution is fitted to an unnormalised density."""

from dataclasses import replace

import torch

from anabranch.objectives.alpha_divergence import AlphaDivergence
from anabranch.objectives.reverse_kl import ReverseKL
from anabranch.training.fit import fit
from anabranch.training.options import FitOptions
from anabranch.training.rates import CosineDecay
from anabranch.training.result import FitResult
from anabranch.training.schedules import Schedule, ScheduledBuffer
from anabranch.training.step_functions import Annealing

EVALUATIONS = 40


def fit_reverse_kl(
    objective: ReverseKL | AlphaDivergence,
    *,
    steps: int = 4000,
    n_samples: int = 256,
    learning_rate: float = 5e-3,
    annealing: float = 0.5,
    options: FitOptions | None = None,
    noise: torch.Generator | None = None,
) -> FitResult:
    r"""Minimise :math:`\mathbb{E}_q[\log q - \log \tilde p]` over the parameters of q.

    The learning rate falls by half a cosine. The free energy of a fixed set of draws is watched,
    and the best state by it is kept; steps that are not finite change nothing, as in `fit`.

    Args:
        objective: whose distribution is left at its best state.
        steps: optimiser steps.
        n_samples: draws per step and component.
        learning_rate: of the first step.
        annealing: share of the steps over which the density is warmed up from its power 0.01 to
            itself; 0 for none.
        options: further settings of `fit`; the number of epochs, the batch size and the learning
            rate are set here.
        noise: source of the draws in training; None for one with the seed of the objective.

    Returns:
        The `FitResult` of `fit`; its ``best_score`` is a free energy in nats.

    Raises:
        ValueError: where steps or n_samples is not positive, or annealing not in 0..1.

    Example:
        >>> from anabranch.distributions import DiagonalNormal
        >>> from anabranch.objectives import ReverseKL
        >>> q = DiagonalNormal(1)
        >>> target = torch.distributions.Normal(3.0, 0.5)
        >>> def log_density(x):
        ...     return 2.0 + target.log_prob(x).sum(-1)
        >>> objective = ReverseKL(q, log_density)
        >>> result = fit_reverse_kl(objective, steps=400, n_samples=64, learning_rate=0.05)
        >>> round(q.loc.item(), 1), round(-result.best_score, 1)  # log Z
        (3.0, 2.0)
    """
    if steps < 1 or n_samples < 1:
        raise ValueError(f"steps and n_samples must be positive, got {steps} and {n_samples}")
    if not 0 <= annealing <= 1:
        raise ValueError(f"annealing must be a share in 0..1, got {annealing}")
    stretch = -(-steps // EVALUATIONS)
    options = replace(
        options or FitOptions(patience=None, min_evaluation_steps=1),
        max_epochs=-(-steps // stretch),
        batch_size=n_samples,
        learning_rate=learning_rate,
    )
    schedules: list[Schedule] = [CosineDecay(steps)]
    if annealing:
        warm_up = Annealing(annealing * steps)
        schedules.append(ScheduledBuffer("beta", objective.beta, warm_up))
    device = objective.beta.device
    if noise is None:
        noise = torch.Generator(device).manual_seed(objective.seed)
    data = {"draw": torch.arange(stretch * n_samples, device=device)}
    watched = {"draw": torch.arange(max(2000, 4 * n_samples), device=device)}
    return fit(objective, data, watched, options=options, schedules=schedules, noise=noise)
