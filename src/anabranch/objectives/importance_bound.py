"""Bounds of the log-likelihood of latent densities, from draws of the latent."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Generator, Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.objectives.importance import iwae


class LatentDensity(Protocol):
    """A model whose latent is drawn from a posterior of any kind."""

    def terms(
        self, x: Tensor, n_draws: int = 1, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log p(x|z) and log q(z|x) - log p(z) at M draws for rows (N, D), (M, N) each."""
        ...


class ImportanceBound(Objective):
    r"""Minus a lower bound of the log-likelihood, mean over rows, in nats.

    .. math:: -\log \frac1M \sum_{m=1}^M \frac{p(x \mid z_m)\, p(z_m)}{q(z_m \mid x)}, \qquad
        z_m \sim q(z \mid x)

    With M = 1 it is the evidence lower bound. While training alone, the divergence
    :math:`\log q - \log p(z)` has the weight :math:`\beta`, a buffer that a schedule may raise
    from 0 to 1 ("warm-up"); and its mean over the rows counts no less than the free nats, so that
    nothing is gained by a posterior that ignores x. In evaluation mode the bound is exactly that,
    and its draws are the same at every call.

    Args:
        model: has ``terms``.
        n_draws: M.
        free_bits: :math:`\lambda`, nats of the divergence of a row, all its codes together, that
            cost nothing: :math:`\max(\lambda, \mathrm{mean}_n \log q/p)`.

    Raises:
        ValueError: for fewer than one draw, free nats that are negative, or free nats with more
            than one draw, where the bound has no divergence of its own.

    Batches are dicts with ``x`` (N, D).

    Source: Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519; free bits: Kingma et al. (2016),
    arXiv:1606.04934, with one group.

    Example:
        >>> from anabranch.models import flow_vae
        >>> objective = ImportanceBound(flow_vae(3, latent=2, hidden=[8], seed=0)).eval()
        >>> sorted(objective({"x": torch.zeros(5, 3)}).terms)
        ['divergence', 'reconstruction']
    """

    stochastic = True
    beta: Tensor

    def __init__(self, model: LatentDensity, *, n_draws: int = 1, free_bits: float = 0.0) -> None:
        super().__init__()
        if n_draws < 1 or free_bits < 0:
            raise ValueError(
                "n_draws must be at least 1 and free_bits not negative, got "
                f"{n_draws} and {free_bits}"
            )
        if free_bits and n_draws > 1:
            raise ValueError(f"free_bits go with one draw, got n_draws={n_draws}")
        self.model, self.n_draws, self.free_bits = model, n_draws, free_bits
        self.register_buffer("beta", torch.ones(()))

    def forward(self, batch: Mapping[str, Tensor], *, generator: Generator | None = None) -> Loss:
        """Minus the bound of a batch."""
        x = batch["x"]
        if not self.training:
            generator = torch.Generator(x.device).manual_seed(0)
        reconstruction, divergence = self.model.terms(x, self.n_draws, generator)
        terms = {"reconstruction": -reconstruction.mean(), "divergence": divergence.mean()}
        beta = self.beta if self.training else 1.0
        if self.n_draws > 1:
            return Loss(-iwae(reconstruction - beta * divergence).mean(), terms)
        cost = terms["divergence"]
        if self.training:
            cost = beta * cost.clamp_min(self.free_bits) if self.free_bits else beta * cost
        return Loss(terms["reconstruction"] + cost, terms)
