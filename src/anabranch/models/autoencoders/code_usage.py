"""How much of a latent code is used."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from anabranch.models.autoencoders.flow_vae import FlowVariationalAutoencoder

# Variance of the posterior means above which a number of a code is active.
ACTIVE = 0.01
ROWS_AT_ONCE = 256


class CodeUsage(NamedTuple):
    r"""What the J numbers of a code tell of rows.

    Attributes:
        means: of each row under q(z|x), (N, J).
        spread: :math:`\mathrm{Var}_x\, E[z_j \mid x]`, (J,).
        divergence: mean over rows of :math:`\mathrm{KL}(q(z_j \mid x) \,\|\, p(z_j))` for each
            number by itself, as if it were normal with the mean and variance that it has, (J,)
            nats.
        total: mean divergence of whole codes, by the densities themselves, in nats; above the sum
            of the others where q ties numbers together that p does not.
    """

    means: Tensor
    spread: Tensor
    divergence: Tensor
    total: Tensor

    @property
    def active(self) -> Tensor:
        """Which numbers vary with the row: those of a spread above 0.01, (J,)."""
        return self.spread > ACTIVE


@torch.no_grad()
def code_usage(
    model: FlowVariationalAutoencoder,
    x: Tensor,
    n_draws: int = 64,
    generator: Generator | None = None,
) -> CodeUsage:
    r"""Measure how much of the code of a variational autoencoder is used, by draws of q.

    A posterior that is a flow has no closed moments, and its density no terms of single numbers:
    both are those of draws, the moments of the prior as well. For a diagonal normal under a
    standard normal, whose divergence is closed, they come close to it with many draws.

    Source: active units: Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519.

    Args:
        model: evaluated as it is.
        x: rows (N, D).
        n_draws: M, at least 2.
        generator: source of the draws.

    Raises:
        ValueError: for fewer than two draws.

    Example:
        >>> from anabranch.models import flow_vae
        >>> model = flow_vae(3, latent=2, hidden=[8], posterior="diagonal", seed=0)
        >>> usage = code_usage(model, torch.zeros(5, 3), generator=torch.Generator().manual_seed(0))
        >>> usage.divergence.shape, usage.active.shape
        (torch.Size([2]), torch.Size([2]))
    """
    if n_draws < 2:
        raise ValueError(f"n_draws must be at least 2, got {n_draws}")
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in x.split(ROWS_AT_ONCE):
        z, log_q = model.draw(part, n_draws, generator)
        total = (log_q - model.prior.log_prob(z)).mean(0)
        found.append((z.mean(0), z.var(0), total))
    means, variances, totals = (torch.cat(each) for each in zip(*found, strict=True))
    prior = model.prior.sample(max(1000, n_draws), generator=generator)
    loc, scale = prior.mean(0), prior.std(0)
    ratio = variances / scale.square()
    divergence = 0.5 * (ratio + ((means - loc) / scale).square() - 1 - ratio.log())
    return CodeUsage(
        means,
        spread=means.var(0, correction=0),
        divergence=divergence.mean(0),
        total=totals.mean(),
    )
