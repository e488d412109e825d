"""Reverse Kullback-Leibler divergence to an unnormalised density."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import Distribution

if TYPE_CHECKING:
    from anabranch.metrics.importance import ImportanceDiagnostics

LogDensity = Callable[[Tensor], Tensor]


class ReverseKL(Objective):
    r"""The free energy of a distribution q that shall approximate p = p~ / Z.

    .. math:: F = \mathbb{E}_{x \sim q}[\log q(x) - \beta \log \tilde p(x)]
        = \mathrm{KL}(q \| p) - \log Z \quad (\beta = 1)

    Draws are reparameterised. :math:`\beta` counts while training only: it rises to 1, so that q
    finds all modes before it settles on some.

    With a component axis each component is an approximation of its own, to the same density or,
    where ``log_density`` says so, to others; the total is their mean, and the terms are named
    ``free_energy_0``, ``free_energy_1``, ...

    Args:
        distribution: q; a flow with a fast ``decode``, such as one of `Inverse` layers.
        log_density: :math:`\log \tilde p`, from points (\*batch_shape, N, \*event) to
            (\*batch_shape, N), in nats.
        seed: of the draws in evaluation, which are the same each time.

    Batches are dicts of ``draw`` (N,), whose length is the number of draws.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770.

    Example:
        >>> from anabranch.distributions import Normal
        >>> loss = ReverseKL(Normal(2), Normal(2).log_prob)({"draw": torch.zeros(5)})
        >>> loss.total
        tensor(0.)
    """

    stochastic = True
    beta: Tensor

    def __init__(
        self, distribution: Distribution, log_density: LogDensity, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.distribution = distribution
        self.log_density = log_density
        self.seed = seed
        self.register_buffer("beta", torch.ones(()))

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The free energy of as many draws as the batch has rows, fresh ones in training."""
        if not self.training:
            generator = torch.Generator(batch["draw"].device).manual_seed(self.seed + 1)
        x, log_q = self.distribution.rsample_and_log_prob(len(batch["draw"]), generator=generator)
        log_p = self.log_density(x)
        if self.training:
            log_p = self.beta * log_p
        energies = (log_q - log_p).mean(-1)
        if energies.ndim == 0:
            return Loss(energies, {"free_energy": energies})
        terms = {f"free_energy_{k}": e for k, e in enumerate(energies.flatten())}
        return Loss(energies.mean(), terms)


@torch.no_grad()
def importance_diagnostics(
    distribution: Distribution,
    log_density: LogDensity,
    n: int = 50_000,
    *,
    log_z: float | None = None,
    generator: torch.Generator | None = None,
) -> "ImportanceDiagnostics":
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
    # metrics import scipy, which changes the filters of warnings
    from anabranch.metrics.importance import importance_diagnostics as diagnose

    return diagnose((log_density(x) - log_q).double().cpu().numpy(), log_z)
