"""A density hedged with another one that it cannot fall far below: the defensive mixture."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from anabranch.contracts.context import common_context
from anabranch.contracts.distribution import Distribution


class Hedged(Distribution):
    r"""A mixture of two densities, one of them frozen: the defensive mixture.

    .. math:: p(x) = a\, f(x) + (1 - a)\, g(x), \qquad \log p(x) \ge \log g(x) + \log(1 - a)

    Whatever becomes of f, no point falls more than :math:`-\log(1 - a)` below g. With a component
    axis each component is hedged with a g of its own, and has an a of its own. A draw is one of f
    or of g, by the flip of a coin.

    Args:
        density: f.
        anchor: g; its parameters are frozen.
        share: a, in (0, 1).
        trainable_share: whether gradients reach a, as a logit.

    Raises:
        ValueError: where f and g differ in event shape, component axis, domain or context, or
            share is not in (0, 1).

    Source: Hesterberg (1995), "Weighted average importance sampling and defensive mixture
    distributions", Technometrics 37.

    Example:
        >>> from anabranch.distributions import Logistic, Normal
        >>> hedged = Hedged(Logistic(1), Normal(1), share=0.5)
        >>> hedged.log_prob(torch.zeros(1, 1)).exp().detach()  # (0.25 + 0.3989) / 2
        tensor([0.3245])
    """

    def __init__(
        self,
        density: Distribution,
        anchor: Distribution,
        share: float = 0.8,
        *,
        trainable_share: bool = False,
    ) -> None:
        for what in ("event_shape", "batch_shape", "domain"):
            f, g = getattr(density, what), getattr(anchor, what)
            if f != g:
                raise ValueError(f"density and anchor must agree in {what}, got {f} and {g}")
        if not 0 < share < 1:
            raise ValueError(f"share must be in (0, 1), got {share}")
        super().__init__(
            density.event_shape,
            batch_shape=density.batch_shape,
            context_shape=common_context(density, anchor, ("Hedged: the density", "the anchor")),
        )
        self.density = density
        self.anchor = anchor.requires_grad_(False)
        self.domain = density.domain
        self.exact = density.exact and anchor.exact
        self.stochastic = density.stochastic or anchor.stochastic
        logit = math.log(share) - math.log1p(-share)
        self.logit = nn.Parameter(
            torch.full((*self.batch_shape, 1), logit), requires_grad=trainable_share
        )

    @property
    def share(self) -> Tensor:
        """The share a of each component, (*batch_shape,), without gradients."""
        return torch.sigmoid(self.logit.detach().squeeze(-1))

    @torch.no_grad()
    def set_share(self, share: Tensor) -> None:
        """Set the share a of each component, (*batch_shape,), in (0, 1)."""
        if not bool(((share > 0) & (share < 1)).all()):
            raise ValueError(f"share must be in (0, 1), got {share.tolist()}")
        self.logit.copy_(torch.logit(share).expand(self.batch_shape).unsqueeze(-1))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        f, g = (part._log_prob(x, context, generator) for part in (self.density, self.anchor))
        return torch.logaddexp(f + logsigmoid(self.logit), g + logsigmoid(-self.logit))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        f, g = (part._sample(n, context, generator) for part in (self.density, self.anchor))
        coin = torch.rand(
            (*self.batch_shape, n), generator=generator, dtype=f.dtype, device=f.device
        )
        heads = coin < torch.sigmoid(self.logit)
        return torch.where(heads.reshape(*heads.shape, *(1,) * len(self.event_shape)), f, g)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        for part in (self.density, self.anchor):
            part._initialize(x, context if part.context_shape else None, generator)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"share={self.share.tolist()}"
