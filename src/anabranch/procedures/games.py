"""The games of generator and critic that models offer by name."""

import math

import torch
from torch import Tensor

from anabranch.objectives import (
    between,
    nonsaturating_critic,
    nonsaturating_generator,
    slope_penalty,
    wasserstein_critic,
    wasserstein_generator,
)
from anabranch.training.adversarial import Critic, Game


def _at_rows(
    critic: Critic, real: Tensor, drawn: Tensor, generator: torch.Generator | None
) -> Tensor:
    return slope_penalty(critic, real, 0.0)


def _between(
    critic: Critic, real: Tensor, drawn: Tensor, generator: torch.Generator | None
) -> Tensor:
    device = "cpu" if generator is None else generator.device
    share = torch.rand(len(real), 1, generator=generator, device=device).to(real)
    return slope_penalty(critic, between(real, drawn, share), 1.0)


GAMES = {
    "nonsaturating": Game(nonsaturating_critic, nonsaturating_generator, _at_rows, 0.5),
    "wgan-gp": Game(wasserstein_critic, wasserstein_generator, _between, 10.0),
}


def make_game(loss: str, penalty: float | None = None) -> Game:
    r"""A game by its name.

    - "nonsaturating": the critic tells rows from draws by cross-entropy, with
      :math:`w \lVert \nabla f(x) \rVert^2` at rows.
    - "wgan-gp": it estimates the distance of Wasserstein, with
      :math:`w (\lVert \nabla f \rVert - 1)^2` between rows and draws.

    Source: Mescheder, Geiger, Nowozin (2018), arXiv:1801.04406 (the first); Gulrajani et al.
    (2017), arXiv:1704.00028 (the second).

    Args:
        loss: its name.
        penalty: w; None for 0.5 in "nonsaturating", 10 in "wgan-gp".

    Raises:
        ValueError: for another name, or a weight out of range.

    Example:
        >>> make_game("wgan-gp").weight
        10.0
    """
    if loss not in GAMES:
        raise ValueError(f"loss must be one of {tuple(GAMES)}, got {loss!r}")
    if penalty is None:
        return GAMES[loss]
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty must be a number not below zero, got {penalty}")
    return GAMES[loss]._replace(weight=float(penalty))
