"""Variational inference: a distribution is fitted to an unnormalised density."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.distributions import Distribution
from anabranch.metrics.importance import ImportanceDiagnostics
from anabranch.metrics.importance import importance_diagnostics as diagnose
from anabranch.training.fit import FitResult, fit
from anabranch.training.options import FitOptions
from anabranch.training.schedules import Schedule, ScheduledBuffer

LogDensity = Callable[[Tensor], Tensor]

EVALUATIONS = 40


class CosineDecay(Schedule):
    r"""Lower the learning rate by half a cosine over a known number of steps, at each evaluation.

    .. math:: \eta_t = \eta_0\,[f + (1 - f)\, \tfrac12 (1 + \cos(\pi t / T))]

    Args:
        steps: T.
        floor: the last share f of the learning rate.

    Source: Loshchilov, Hutter (2016), arXiv:1608.03983.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = CosineDecay(10, floor=0.0)
        >>> schedule.on_step(4)
        >>> schedule.on_evaluation(0.0, optimizer)
        >>> round(optimizer.param_groups[0]["lr"], 6)
        0.5
    """

    name = "learning_rate"

    def __init__(self, steps: int, *, floor: float = 0.01) -> None:
        self.steps, self.floor = steps, floor
        self.taken, self.share, self.value = 0, 1.0, float("nan")

    def on_step(self, step: int) -> None:
        """Count the steps."""
        self.taken = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Set the rate of the following steps; what a rollback halved stays halved."""
        wave = 0.5 * (1 + math.cos(math.pi * min(1.0, self.taken / self.steps)))
        share = self.floor + (1 - self.floor) * wave
        for group in optimizer.param_groups:
            group["lr"] *= share / self.share
        self.share, self.value = share, float(optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, present share and value."""
        return {"taken": self.taken, "share": self.share, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.taken, self.share, self.value = state["taken"], state["share"], state["value"]


class Annealing:
    r"""The inverse temperature at a step: :math:`\beta_t = \min(1, \beta_0 + t / T)`.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770, with :math:`\beta_0 = 0.01` and T = 10000.

    Example:
        >>> annealing = Annealing(100, start=0.01)
        >>> annealing(0), round(annealing(50), 2), annealing(1000)
        (0.01, 0.51, 1.0)
    """

    def __init__(self, length: float, *, start: float = 0.01) -> None:
        if not (length > 0 and 0 < start <= 1):
            raise ValueError(f"need length > 0 and 0 < start <= 1, got {length=}, {start=}")
        self.length, self.start = length, start

    def __call__(self, step: int) -> float:
        """The value at a step."""
        return min(1.0, self.start + step / self.length)


def fit_variational(
    objective: nn.Module,
    *,
    steps: int = 4000,
    n_samples: int = 256,
    learning_rate: float = 5e-3,
    annealing: float = 0.5,
    options: FitOptions | None = None,
) -> FitResult:
    r"""Minimise :math:`\mathbb{E}_q[\log q - \log \tilde p]` over the parameters of q.

    The learning rate falls by half a cosine. The free energy of a fixed set of draws is watched,
    and the best state by it is kept; steps that are not finite change nothing, as in `fit`.

    Args:
        objective: an `anabranch.objectives.ReverseKL`, or a module like it that takes batches of
            ``draw`` and has a buffer ``beta``; its distribution is left at its best state.
        steps: optimiser steps.
        n_samples: draws per step and component.
        learning_rate: of the first step.
        annealing: share of the steps over which the density is warmed up from its power 0.01 to
            itself; 0 for none.
        options: further settings of `fit`; the number of epochs, the batch size and the learning
            rate are set here.

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
        >>> result = fit_variational(objective, steps=400, n_samples=64, learning_rate=0.05)
        >>> round(q.loc.item(), 1), round(-result.best_score, 1)  # log Z
        (3.0, 2.0)
    """
    if steps < 1 or n_samples < 1:
        raise ValueError(f"steps and n_samples must be positive, got {steps} and {n_samples}")
    if not 0 <= annealing <= 1:
        raise ValueError(f"annealing must be a share in 0..1, got {annealing}")
    beta = objective.get_buffer("beta")
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
        schedules.append(ScheduledBuffer("beta", beta, warm_up))
    device = beta.device
    data = {"draw": torch.arange(stretch * n_samples, device=device)}
    watched = {"draw": torch.arange(max(2000, 4 * n_samples), device=device)}
    return fit(objective, data, watched, options=options, schedules=schedules)


@torch.no_grad()
def importance_diagnostics(
    distribution: Distribution,
    log_density: LogDensity,
    n: int = 50_000,
    *,
    log_z: float | None = None,
    generator: torch.Generator | None = None,
) -> ImportanceDiagnostics:
    """Judge q, which has no component axis, by n draws from it.

    Args:
        distribution: q.
        log_density: of the target, not normalised.
        n: draws.
        log_z: the true log Z, where it is known.
        generator: source of the draws.

    Returns:
        See `anabranch.metrics.ImportanceDiagnostics`.

    Raises:
        ValueError: for a distribution with a component axis or a context, or weights that are
            not numbers.

    Example:
        >>> from anabranch.distributions import Normal
        >>> found = importance_diagnostics(Normal(2), lambda x: Normal(2).log_prob(x) + 1.0, 100)
        >>> round(found.log_z, 3), round(found.ess, 3)
        (1.0, 1.0)
    """
    if distribution.batch_shape or distribution.context_features:
        raise ValueError(
            "distribution must have neither component axis nor context, got batch_shape "
            f"{distribution.batch_shape} and context_features {distribution.context_features}"
        )
    x, log_q = distribution.sample_and_log_prob(n, generator=generator)
    return diagnose((log_density(x) - log_q).double().cpu().numpy(), log_z)
