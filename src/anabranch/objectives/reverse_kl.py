"""Reverse Kullback-Leibler divergence to an unnormalised density."""

from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn

from anabranch.contracts.loss import Loss
from anabranch.distributions import Distribution

LogDensity = Callable[[Tensor], Tensor]


class ReverseKL(nn.Module):
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
        seed: of the draws. In evaluation the same draws are used each time.

    Batches are dicts of ``draw`` (N,), whose length is the number of draws.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770.

    Example:
        >>> from anabranch.distributions import Normal
        >>> loss = ReverseKL(Normal(2), Normal(2).log_prob)({"draw": torch.zeros(5)})
        >>> loss.total
        tensor(0.)
    """

    beta: Tensor

    def __init__(
        self, distribution: Distribution, log_density: LogDensity, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.distribution = distribution
        self.log_density = log_density
        self.seed = seed
        self.register_buffer("beta", torch.ones(()))
        self.generator = torch.Generator(_device(distribution)).manual_seed(seed)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The free energy of as many fresh draws as the batch has rows."""
        x, log_q = self.distribution.rsample_and_log_prob(
            len(batch["draw"]), generator=self._source()
        )
        log_p = self.log_density(x)
        if self.training:
            log_p = self.beta * log_p
        energies = (log_q - log_p).mean(-1)
        if energies.ndim == 0:
            return Loss(energies, {"free_energy": energies})
        terms = {f"free_energy_{k}": e for k, e in enumerate(energies.flatten())}
        return Loss(energies.mean(), terms)

    def _source(self) -> torch.Generator:
        """The running generator in training, a fresh one in evaluation."""
        if self.training:
            return self.generator
        return torch.Generator(self.generator.device).manual_seed(self.seed + 1)


def _device(module: nn.Module) -> torch.device:
    tensors = chain(module.parameters(), module.buffers())
    return next((t.device for t in tensors), torch.device("cpu"))
