"""Draws that follow the gradient of the density they shall approximate."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from anabranch.contracts.context import vector_size
from anabranch.contracts.distribution import Distribution
from anabranch.distributions.standard import DiagonalNormal
from anabranch.functional import standard_normal_log_prob
from anabranch.functional.leapfrog import Phase, leapfrog, score
from anabranch.functional.numbers import check_positive, check_whole

LogDensity = Callable[[Tensor, Tensor | None], Tensor]


class HamiltonianFlow(Distribution):
    r"""A base whose draws move by Hamiltonian dynamics towards an unnormalised density.

    .. math:: z_0 \sim q_0, \quad w_0 \sim \mathcal N(0, I), \quad
        (z_T, w_T) = \mathrm{leapfrog}(z_0, w_0), \\
        \log q = \log q_0(z_0) + \log \mathcal N(w_0) - \log r(w_T \mid z_T)

    Leapfrog steps keep volumes, so that no determinant enters. The momenta are integrated out by r,
    a normal that learns what they are in the end: what ``rsample_and_log_prob`` gives beside a draw
    is no density of it, but :math:`E[\tilde p(z) / q] = \int \tilde p`, so that bounds and
    importance weights made of it are right. ``log_prob`` is a lower bound, at one draw of the
    momenta from r.

    With one step a round, momenta drawn anew in each, and r the standard normal it is **Langevin
    dynamics**: :math:`z' = z + \tfrac{\epsilon^2}2 \nabla \log \tilde p(z) + \epsilon w`, with the
    ratio of the kernels forward and backward as its weight, as in annealed importance sampling.
    The steps :math:`\epsilon`, one for each round and coordinate, are learned; a diagonal mass
    would be the same as those.

    Args:
        base: :math:`q_0`, of vectors; it may take a context.
        log_density: :math:`\log \tilde p`, from points (N, D) and the context to (N,).
        n_rounds: how often momenta are drawn.
        n_steps: leapfrog steps of a round.
        learn_reverse: whether r is learned, else it is the standard normal.
        step: where the steps start.
        context_features: size of the context, of which the base sees as many numbers as it takes,
            the first ones, r as well, and the density all.
        hidden: hidden sizes of the network of r.
        generator: source of the initial weights.

    Raises:
        ValueError: for no rounds or steps, or a step that is not positive.

    Source: Salimans, Kingma, Welling (2015), "Markov chain Monte Carlo and variational inference:
    bridging the gap", arXiv:1410.6460; Rezende, Mohamed (2015), arXiv:1505.05770, section 3.2.

    Example:
        >>> target = lambda z, context: -0.5 * (z - 1.0).square().sum(-1)
        >>> flow = HamiltonianFlow(DiagonalNormal(2), target)
        >>> z, log_q = flow.rsample_and_log_prob(5)
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
        n_rounds: int = 1,
        n_steps: int = 5,
        learn_reverse: bool = True,
        step: float = 0.2,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        generator: Generator | None = None,
    ) -> None:
        d = vector_size(base.event_shape)
        super().__init__(d, context_shape=context_features or base.context_features)
        self.n_rounds, self.n_steps, self.step = n_rounds, n_steps, step
        check_whole(self, ("n_rounds", "n_steps"), 1)
        check_positive(self, ("step",))
        self.base, self.log_density = base, log_density
        start = torch.full((n_rounds, d), step)
        self.raw_steps = nn.Parameter(torch.log(torch.expm1(start)))
        self.reverse: Distribution | None = None
        if learn_reverse:
            self.reverse = DiagonalNormal(
                d,
                context_features=d + base.context_features,
                hidden=hidden,
                generator=generator,
            )

    def centre(self, context: Tensor | None = None) -> Tensor:
        """Where a base with a ``mean`` sends it without any momentum, (N, D)."""
        assert isinstance(self.base, DiagonalNormal)
        z = self.base.mean(self._seen(context))
        force = self._force(context)
        for step in softplus(self.raw_steps):
            z = leapfrog(Phase(z, torch.zeros_like(z), force(z)), force, step, self.n_steps).z
        return z

    def _force(self, context: Tensor | None) -> Callable[[Tensor], Tensor]:
        return partial(score, lambda z: self.log_density(z, context))

    def _seen(self, context: Tensor | None) -> Tensor | None:
        """What the base sees of the context."""
        n = self.base.context_features
        return context[..., :n] if context is not None and n else None

    def _reverse_given(self, z: Tensor, context: Tensor | None) -> Tensor:
        seen = self._seen(context)
        return z if seen is None else torch.cat((z, seen), -1)

    def _reverse_log_prob(self, momentum: Tensor, z: Tensor, context: Tensor | None) -> Tensor:
        if self.reverse is None:
            return standard_normal_log_prob(momentum)
        return self.reverse.log_prob(momentum, self._reverse_given(z, context))

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_q = self.base._sample_and_log_prob(n, self._seen(context), generator)
        force = self._force(context)
        push = force(z)
        for step in softplus(self.raw_steps):
            momentum = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
            log_q = log_q + standard_normal_log_prob(momentum)
            z, momentum, push = leapfrog(Phase(z, momentum, push), force, step, self.n_steps)
            log_q = log_q - self._reverse_log_prob(momentum, z, context)
        return z, log_q

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._sample_and_log_prob(n, context, generator)[0]

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        force = self._force(context)
        z, push = x, force(x)
        log_q = x.new_zeros(len(x))
        for step in softplus(self.raw_steps).flip(0):
            if self.reverse is None:
                momentum = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
                log_q = log_q - standard_normal_log_prob(momentum)
            else:
                given = self._reverse_given(z, context)
                momentum, log_r = self.reverse.rsample_and_log_prob((), given, generator)
                log_q = log_q - log_r
            # turned round, the same steps lead back
            z, momentum, push = leapfrog(Phase(z, -momentum, push), force, step, self.n_steps)
            log_q = log_q + standard_normal_log_prob(momentum)
        return log_q + self.base._log_prob(z, self._seen(context), generator)
