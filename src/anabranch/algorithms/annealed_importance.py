"""Annealed importance sampling by Hamiltonian Monte Carlo, from either end."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from anabranch.functional import standard_normal_log_prob
from anabranch.functional.draws import normal_draws
from anabranch.functional.leapfrog import Phase, leapfrog, score
from anabranch.functional.numbers import check_positive, check_whole

LogDensity = Callable[[Tensor], Tensor]
# How much slower temperatures rise at the ends than in the middle.
SLOWNESS = 4.0
# Share of moves that are to be accepted, and how fast the steps follow it.
ACCEPTANCE, RATE = 0.65, 0.3


class AnnealingPath(NamedTuple):
    r"""Densities from one that is easily drawn from to one that is wanted.

    .. math:: f_\beta(z) = p_0(z)\, e^{\beta\, t(z)}, \qquad 0 \le \beta \le 1

    Of a latent density :math:`p_0` is the prior and t the log-likelihood, so that
    :math:`\int f_1 = p(x)`.

    Attributes:
        log_base: :math:`\log p_0`, normalised, from points (M, J) to (M,) nats.
        tilt: t, from points (M, J) to (M,) nats.
    """

    log_base: LogDensity
    tilt: LogDensity

    def at(self, inverse_temperature: float) -> LogDensity:
        r"""Log of :math:`f_\beta`."""
        return lambda z: self.log_base(z) + inverse_temperature * self.tilt(z)


class Annealed(NamedTuple):
    """What M chains found.

    Attributes:
        log_weights: (M,) in nats.
        z: where the chains ended, (M, J).
        steps: step of the moves at each temperature between the ends, (T - 1,).
        accepted: share of moves that were accepted at each of these, (T - 1,).
    """

    log_weights: Tensor
    z: Tensor
    steps: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class AnnealedImportance:
    r"""Importance weights of chains that go from one density to another by small changes.

    .. math:: \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1})\, t(z_{t-1}), \qquad
        z_0 \sim p_0, \quad z_t \sim \mathrm{HMC}_{\beta_t}(z_{t-1})

    Then :math:`E[w] = \int f_1`, whatever the moves: the log of their mean is a lower bound of
    :math:`\log \int f_1` in expectation. Started at a draw of :math:`f_1` and run back, the weights
    have the mean :math:`1 / \int f_1`, and minus the log of their mean is an *upper* bound. So
    rows that a model itself has drawn, of which a draw of the posterior is known, have their
    log-density between both.

    Moves keep :math:`f_\beta` exactly (leapfrog steps and a choice by Metropolis). Their steps have
    to be known beforehand for that: ``tuned`` finds them by chains of its own.

    Attributes:
        temperatures: T; the inverse temperatures follow a sigmoid, denser at both ends.
        n_leapfrog: leapfrog steps of a move.
        step: where the search for steps starts.

    Raises:
        ValueError: for fewer than one temperature or leapfrog step, or a step not positive.

    Source: Neal (2001), "Annealed importance sampling", Statistics and Computing 11; Wu, Burda,
    Salakhutdinov, Grosse (2017), "On the quantitative analysis of decoder-based generative
    models", arXiv:1611.04273, for latent densities; Grosse, Ghahramani, Adams (2015), "Sandwiching
    the marginal likelihood using bidirectional Monte Carlo", arXiv:1511.02543, for both ends.

    Example:
        >>> path = AnnealingPath(standard_normal_log_prob, lambda z: -0.5 * z.square().sum(-1))
        >>> source = torch.Generator().manual_seed(0)
        >>> how = AnnealedImportance(temperatures=20)
        >>> z = torch.randn(200, 1, generator=source)
        >>> found = how.forward(path, z, how.tuned(path, z, source), source)
        >>> truth = -0.5 * math.log(2)
        >>> abs(found.log_weights.exp().mean().log().item() - truth) < 0.05
        True
    """

    temperatures: int = 100
    n_leapfrog: int = 5
    step: float = 0.5

    def __post_init__(self) -> None:
        check_whole(self, ("temperatures", "n_leapfrog"), 1)
        check_positive(self, ("step",))

    def inverse_temperatures(self) -> list[float]:
        r""":math:`\beta_0 = 0` to :math:`\beta_T = 1`, T + 1 of them."""
        places = [SLOWNESS * (2 * t / self.temperatures - 1) for t in range(self.temperatures + 1)]
        low, *_, high = raw = [1 / (1 + math.exp(-place)) for place in places]
        return [(value - low) / (high - low) for value in raw]

    def tuned(self, path: AnnealingPath, z: Tensor, generator: Generator | None = None) -> Tensor:
        """Steps by which moves are accepted as often as they should be, (T - 1,).

        Args:
            path: the densities.
            z: draws of the base, (M, J), of chains that serve for nothing else.
            generator: source of the moves.
        """
        return self._run(path, z, None, generator, forward=True).steps

    def forward(
        self, path: AnnealingPath, z: Tensor, steps: Tensor, generator: Generator | None = None
    ) -> Annealed:
        r"""Go from the base to the target: weights with the mean :math:`\int f_1`.

        Args:
            path: the densities.
            z: draws of the base, (M, J).
            steps: of ``tuned``, (T - 1,).
            generator: source of the moves.

        Raises:
            ValueError: for another number of steps.
        """
        return self._run(path, z, self._checked(steps), generator, forward=True)

    def backward(
        self, path: AnnealingPath, z: Tensor, steps: Tensor, generator: Generator | None = None
    ) -> Annealed:
        r"""Go from the target to the base: weights with the mean :math:`1 / \int f_1`.

        Args:
            path: the densities.
            z: draws of the *target*, exact ones, (M, J).
            steps: of ``tuned``, (T - 1,).
            generator: source of the moves.

        Raises:
            ValueError: for another number of steps.
        """
        return self._run(path, z, self._checked(steps), generator, forward=False)

    def _run(
        self,
        path: AnnealingPath,
        z: Tensor,
        steps: Tensor | None,
        generator: Generator | None,
        *,
        forward: bool,
    ) -> Annealed:
        betas = self.inverse_temperatures()
        order = betas if forward else betas[::-1]
        log_weights = (order[1] - order[0]) * path.tilt(z)
        adapted = steps is None
        step = torch.full_like(z[0, 0], self.step)
        used: list[Tensor] = []
        accepted: list[Tensor] = []
        for t in range(1, self.temperatures):
            place = t - 1 if forward else -t
            step = step if steps is None else steps[place]
            z, moved = self._move(path.at(order[t]), z, step, generator)
            log_weights = log_weights + (order[t + 1] - order[t]) * path.tilt(z)
            used.append(step)
            accepted.append(moved.mean())
            if adapted:
                step = step * torch.exp(RATE * (accepted[-1] - ACCEPTANCE))
        empty = z.new_zeros(0)
        turned = slice(None, None, 1 if forward else -1)
        found = (torch.stack(each[turned]) if each else empty for each in (used, accepted))
        return Annealed(log_weights, z, *found)

    def _move(
        self, log_density: LogDensity, z: Tensor, step: Tensor, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Points after one move of Hamiltonian Monte Carlo, and which of them it has moved."""

        def force(at: Tensor) -> Tensor:
            return score(log_density, at)

        momentum = normal_draws(tuple(z.shape), z, generator)
        end = leapfrog(Phase(z, momentum, force(z)), force, step, self.n_leapfrog)
        before = log_density(z) + standard_normal_log_prob(momentum)
        after = log_density(end.z) + standard_normal_log_prob(end.momentum)
        threshold = torch.rand(len(z), generator=generator, dtype=z.dtype, device=z.device)
        moved = threshold.log() < after - before  # not where the energy is no number
        return torch.where(moved.unsqueeze(-1), end.z, z), moved.to(z.dtype)

    def _checked(self, steps: Tensor) -> Tensor:
        if steps.shape != (self.temperatures - 1,):
            raise ValueError(
                f"steps must have shape ({self.temperatures - 1},), got {tuple(steps.shape)}"
            )
        return steps
