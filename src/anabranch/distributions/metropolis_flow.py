"""Draws that walk by Metropolis and Hastings towards the density they shall approximate."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.functional.numbers import check_positive, check_whole

LogDensity = Callable[[Tensor, Tensor | None], Tensor]


class MetropolisFlow(Distribution):
    r"""A base whose draws are moved by random walks that keep densities on the way to a target.

    .. math:: \log f_t = (1 - \beta_t) \log q_0 + \beta_t \log \tilde p, \quad \beta_t = t / T,
        \qquad \log q = \log q_0(z_0) + \sum_t \log \frac{f_t(z_t)}{f_t(z_{t-1})}

    Each of the T levels is some steps of a normal random walk, accepted with probability
    :math:`\min(1, f_t(z') / f_t(z))`. What ``sample_and_log_prob`` gives beside a draw is no
    density of it, but :math:`E[\tilde p(z) / q] = \int \tilde p`, so that importance weights made
    of it are right, whatever the base: annealed importance sampling, as layers. ``log_prob`` is a
    lower bound, by one walk back, which is the same walk. What is accepted has no gradient; the
    base gets one through q.

    Args:
        base: :math:`q_0`, such as a flow that was trained; it may take a context.
        log_density: :math:`\log \tilde p`, from points (N, \*event) and the context to (N,).
        n_levels: T.
        n_steps: of the walk at each level.
        step: standard deviation of a step, of each number.

    Raises:
        ValueError: for no levels or steps, a step that is not positive, or a component axis.

    Source: Wu, Köhler, Noé (2020), "Stochastic normalizing flows", arXiv:2002.06707; Neal (2001),
    "Annealed importance sampling".

    Example:
        >>> from anabranch.distributions import Normal
        >>> target = lambda z, context: -0.5 * (z - 1.0).square().sum(-1)
        >>> flow = MetropolisFlow(Normal(2), target, n_levels=4)
        >>> z, log_q = flow.sample_and_log_prob(5)
        >>> z.shape, log_q.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    exact = False
    stochastic = True

    def __init__(
        self,
        base: Distribution,
        log_density: LogDensity,
        *,
        n_levels: int = 10,
        n_steps: int = 1,
        step: float = 0.5,
    ) -> None:
        super().__init__(base.event_shape, context_shape=base.context_shape)
        if base.batch_shape:
            raise ValueError(f"base must have no component axis, got {base.batch_shape}")
        self.n_levels, self.n_steps, self.step = n_levels, n_steps, step
        check_whole(self, ("n_levels", "n_steps"), 1)
        check_positive(self, ("step",))
        self.base, self.log_density = base, log_density

    def _at(self, z: Tensor, context: Tensor | None, level: int) -> Tensor:
        """The log-density of a level, (N,)."""
        share = level / self.n_levels
        towards = share * self.log_density(z, context)
        if level == self.n_levels:
            return towards
        return (1 - share) * self.base._log_prob(z, context, None) + towards

    @torch.no_grad()
    def _walk(
        self, z: Tensor, context: Tensor | None, level: int, generator: Generator | None
    ) -> Tensor:
        now = self._at(z, context, level)
        for _ in range(self.n_steps):
            noise = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
            fresh = z + self.step * noise
            there = self._at(fresh, context, level)
            u = torch.rand(now.shape, generator=generator, dtype=z.dtype, device=z.device)
            taken = u.log() < there - now
            shape = (-1, *[1] * (z.ndim - 1))
            z, now = torch.where(taken.view(shape), fresh, z), torch.where(taken, there, now)
        return z

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_q = self.base._sample_and_log_prob(n, context, generator)
        for level in range(1, self.n_levels + 1):
            moved = self._walk(z, context, level, generator)
            log_q = log_q + self._at(moved, context, level) - self._at(z, context, level)
            z = moved
        return z, log_q

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._sample_and_log_prob(n, context, generator)[0]

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        log_q = x.new_zeros(len(x))
        for level in range(self.n_levels, 0, -1):
            moved = self._walk(x, context, level, generator)
            log_q = log_q + self._at(x, context, level) - self._at(moved, context, level)
            x = moved
        return log_q + self.base._log_prob(x, context, generator)
