"""A prior made of posteriors."""

import math

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.standard import DiagonalNormal

# Learned shares begin at least this far from 0 and 1, where their logits can still move.
EDGE = 0.05


class VampPrior(Distribution):
    r"""The mixture of the posteriors of K learned rows: a prior as rich as the posteriors are.

    .. math:: p(z) = \frac1K \sum_k q(z \mid \mathrm{encoder}(u_k))

    The prior that maximises the evidence lower bound is the mean of all posteriors; this is an
    affordable part of it. Encoder and posterior are those of the autoencoder, shared with it: what
    trains them trains the prior.

    Args:
        posterior: q, whose density at points that it did not draw is needed: fast for normals and
            copulas, slower for inverse autoregressive and planar flows.
        encoder: from rows to contexts of q.
        rows: (K, D), where the learned rows :math:`u_k` start.
        shares: whether rows are shares in [0, 1], which learned ones then never leave: they are
            kept as logits.

    Raises:
        ValueError: for rows that are no matrix, shares outside (0, 1), or a posterior without a
            density that is known.

    Source: Tomczak, Welling (2018), "VAE with a VampPrior", arXiv:1705.07120.

    Example:
        >>> q = DiagonalNormal(2, context_features=3)
        >>> VampPrior(q, nn.Linear(4, 3), torch.zeros(5, 4)).log_prob(torch.zeros(1, 2)).detach()
        tensor([-1.8379])
    """

    def __init__(
        self,
        posterior: Distribution,
        encoder: nn.Module,
        rows: Tensor,
        *,
        shares: bool = False,
    ) -> None:
        if rows.ndim != 2 or not len(rows):
            raise ValueError(f"rows must have shape (K, D), got {tuple(rows.shape)}")
        if shares and not rows.is_meta and not bool(((rows > 0) & (rows < 1)).all()):
            raise ValueError("rows must be shares between 0 and 1")
        if not posterior.exact:
            raise ValueError(f"{type(posterior).__name__} has no density to make a prior of")
        super().__init__(posterior.event_shape)
        self.posterior, self.encoder, self.shares = posterior, encoder, shares
        self.rows = nn.Parameter(rows.logit() if shares else rows.clone())

    def learned_rows(self) -> Tensor:
        """The rows whose posteriors are mixed, (K, D)."""
        return self.rows.sigmoid() if self.shares else self.rows

    @torch.no_grad()
    def set_rows(self, rows: Tensor) -> None:
        """Begin at other rows (K, D), such as rows of data; shares are kept off 0 and 1."""
        self.rows.copy_(rows.clamp(EDGE, 1 - EDGE).logit() if self.shares else rows)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        given = self.encoder(self.learned_rows())
        if isinstance(self.posterior, DiagonalNormal):
            # the moments of a component are computed once, not once for each point
            loc, log_scale = self.posterior._moments(given)
            noise = (x.unsqueeze(-2) - loc) * torch.exp(-log_scale)
            each = -0.5 * noise.square().sum(-1) - log_scale.sum(-1)
            each = each - 0.5 * x.shape[-1] * math.log(2 * math.pi)
        else:
            each = self.posterior.log_prob(x.unsqueeze(-2), given)
        return torch.logsumexp(each, -1) - math.log(len(given))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        given = self.encoder(self.learned_rows())
        device = given.device
        chosen = torch.randint(len(given), (n,), generator=generator, device=device)
        return self.posterior.rsample((), given[chosen], generator)
