"""A mixture beside a broad density, for rows that belong to none of its components."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.hedged import Hedged
from anabranch.distributions.mixture import Mixture


class ContaminatedMixture(Mixture):
    r"""A mixture, and with a small probability something else: the gross-error model.

    .. math:: p(x) = (1 - \varepsilon) \sum_k \pi_k\, p_k(x) + \varepsilon\, h(x)
        = \sum_k \pi_k\, [(1 - \varepsilon)\, p_k(x) + \varepsilon\, h(x)]

    h is frozen and broad, such as a `StudentT`. It is no component: each has its part of it, so
    that of a row that is h's none is certain, :math:`p(k \mid x) \approx \pi_k`.

    Args:
        components: as in `Mixture`.
        broad: h, one density without a component axis; its parameters are frozen.
        share: :math:`\varepsilon`, in (0, 1).
        weights: as in `Mixture`.
        trainable_weights: as in `Mixture`.

    Raises:
        ValueError: where h differs from the components in event shape or domain, has a component
            axis, or share is not in (0, 1).

    Source: Tukey (1960), "A survey of sampling from contaminated distributions"; Huber (1964),
    "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.

    Example:
        >>> from anabranch.distributions import Normal, StudentT
        >>> mixture = ContaminatedMixture(Normal(1), StudentT(1, df=1), share=0.5)
        >>> mixture.log_prob(torch.zeros(1, 1)).exp()  # (0.3989 + 0.3183) / 2
        tensor([0.3586])
    """

    def __init__(
        self,
        components: Distribution | Sequence[Distribution],
        broad: Distribution,
        share: float = 0.01,
        weights: Tensor | Sequence[float] | None = None,
        *,
        trainable_weights: bool = False,
    ) -> None:
        super().__init__(components, weights, trainable_weights=trainable_weights)
        for what, ours, theirs in (
            ("event_shape", self.event_shape, broad.event_shape),
            ("domain", self.domain, broad.domain),
            ("batch_shape", (), broad.batch_shape),
        ):
            if ours != theirs:
                raise ValueError(f"broad must have {what} {ours}, as the mixture, got {theirs}")
        self.broad = broad.requires_grad_(False)
        self.log_odds = nn.Parameter(self.logits.new_zeros(()), requires_grad=False)
        self.set_share(share)

    @property
    def share(self) -> Tensor:
        r""":math:`\varepsilon`, a scalar."""
        return torch.sigmoid(self.log_odds)

    def set_share(self, share: float) -> None:
        r"""Set :math:`\varepsilon`, in (0, 1)."""
        if not 0 < share < 1:
            raise ValueError(f"share must be in (0, 1), got {share}")
        self.log_odds.data.fill_(math.log(share) - math.log1p(-share))

    @property
    def clean(self) -> Mixture:
        r""":math:`\sum_k \pi_k\, p_k(x)` alone, sharing memory with this one."""
        clean = Mixture(self.groups)
        clean.logits = self.logits
        return clean

    def contaminate(self, log_prob: Tensor, broad: Tensor) -> Tensor:
        r""":math:`\log [(1 - \varepsilon)\, p + \varepsilon\, h]` of logarithms that broadcast."""
        return torch.logaddexp(
            log_prob + logsigmoid(-self.log_odds), broad + logsigmoid(self.log_odds)
        )

    def broad_log_prob(self, x: Tensor) -> Tensor:
        r""":math:`\log [\varepsilon\, h(x)]`, the part of no component, (N,)."""
        return self.broad.log_prob(x) + logsigmoid(self.log_odds)

    def component_log_prob(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        r""":math:`\log [(1 - \varepsilon)\, p_k(x) + \varepsilon\, h(x)]`, shape (K, N)."""
        inside = super().component_log_prob(x, context, generator=generator)
        return self.contaminate(inside, self.broad.log_prob(x))

    def component(self, index: int) -> Distribution:
        """Component k with its part of the broad density, sharing memory with the mixture."""
        return Hedged(super().component(index), self.broad, 1 - float(self.share))

    def _of_components(self, name: str, x: Tensor, context: Tensor | None) -> Tensor:
        raise TypeError(f"{type(self.broad).__name__} has no {name}")

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, share={float(self.share):.3g}"
