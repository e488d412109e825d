"""The Gaussian that a flow starts from, and has to beat; and densities that it must not lose."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from anabranch.training import FitOptions, fit

Model = TypeVar("Model", bound=nn.Module)
RACE_STEPS = 400
# Rows that a pass without gradients takes at a time.
PART = 4096


def convincing(gain: Tensor) -> bool:
    """Whether a mean gain on validation rows exceeds its own standard error.

    Where it does not, as on small tables, the flow has not earned its place, and the Gaussian
    mixture it started from is the better bet (the one-standard-error rule).

    Example:
        >>> convincing(torch.tensor([1.0, 1.1, 0.9])), convincing(torch.tensor([9.0, -8.0, 0.0]))
        (True, False)
    """
    return bool(gain.mean() > gain.std(correction=0) / len(gain) ** 0.5)


def race(
    objective: nn.Module,
    data: dict[str, Tensor],
    held_out: dict[str, Tensor],
    options: FitOptions,
    *,
    seed: int,
    noise: torch.Generator | None = None,
    on_epoch: Callable[[int], Tensor | None] | None = None,
) -> float:
    """Train for as many epochs as there are, and tell how far that gets: the best score.

    Args:
        objective: what is trained, in place.
        data: rows to train on.
        held_out: rows to score on.
        options: of the race; nothing is written, and nothing stops it early.
        seed: of the order of rows.
        noise: source of the objective's draws.
        on_epoch: what changes before each epoch.
    """
    return fit(
        objective,
        data,
        held_out,
        options=replace(unrecorded(options), patience=None),
        generator=torch.Generator().manual_seed(seed),
        noise=noise,
        on_epoch=on_epoch,
        stage="race",
    ).best_score


def epochs_of(steps: int, options: FitOptions, n_rows: int) -> int:
    """How many passes over the rows take about so many steps, at least one."""
    return max(1, steps * options.batch_size // n_rows)


def unrecorded(options: FitOptions) -> FitOptions:
    """The same settings, writing nothing."""
    return replace(options, checkpoint=None, log_path=None, tensorboard=None)


@torch.no_grad()
def precise(
    log_prob: Callable[[Model, Tensor, Tensor | None], Tensor],
    model: Model,
    x: Tensor,
    context: Tensor | None = None,
) -> Tensor:
    """Log-densities in float64; rows that overflow float32 are done again in float64.

    Args:
        log_prob: of a model, rows and their context: (n,), or (K, n) to be summed over components.
        model: in float32.
        x: (n, D).
        context: (n, C), or None.

    Returns:
        What ``log_prob`` gives, in float64.
    """
    values = log_prob(model, x, context).double()
    total = values if values.dim() == 1 else torch.logsumexp(values, 0)
    overflow = ~torch.isfinite(total)
    if bool(overflow.any()):
        double = copy.deepcopy(model).double()
        given = None if context is None else context[overflow].double()
        values[..., overflow] = log_prob(double, x[overflow].double(), given)
    return values
