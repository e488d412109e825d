"""Mixtures whose weights a context decides: by a network, or as classes."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.networks import MLP


class ConditionalMixture(Distribution):
    r"""A mixture whose weights depend on the context.

    .. math:: \log p(x \mid c) = \log \sum_{k=1}^K \pi_k(c)\, p(x \mid k, c)

    The weights are the softmax of a network, or, by ``of_classes``, the context itself: shares of
    classes that sum to one, so that a one-hot context picks the density of its class.

    Args:
        components: a stacked distribution with ``batch_shape=(K,)``; with a context of its own, or
            none.
        context_features: size of the context.
        hidden: hidden sizes of the network.
        generator: source of its initial weights.

    Raises:
        ValueError: for components without such a batch shape, or with another context.

    Source: Bishop (1994), "Mixture density networks".

    Example:
        >>> from anabranch.distributions import DiagonalNormal
        >>> classes = ConditionalMixture.of_classes(DiagonalNormal(2, batch_shape=(3,)))
        >>> classes.log_prob(torch.zeros(1, 2), torch.tensor([[0.0, 1.0, 0.0]])).detach()
        tensor([-1.8379])
    """

    def __init__(
        self,
        components: Distribution,
        context_features: int,
        *,
        hidden: Sequence[int] = (64,),
        generator: Generator | None = None,
    ) -> None:
        if len(components.batch_shape) != 1:
            raise ValueError(
                f"components must have a batch_shape (K,), got {components.batch_shape}"
            )
        if components.context_shape not in ((), (context_features,)):
            raise ValueError(
                f"components take a context of {components.context_shape}, the weights one of "
                f"{(context_features,)}"
            )
        super().__init__(components.event_shape, context_shape=context_features)
        self.components = components
        self.domain = components.domain
        self.exact, self.stochastic = components.exact, components.stochastic
        (self.n_components,) = components.batch_shape
        sizes = (context_features, self.n_components, hidden)
        self.network: MLP | None = MLP(*sizes, generator=generator)

    @classmethod
    def of_classes(cls, components: Distribution) -> Self:
        """One component for each class; the context, (..., K), holds their shares.

        Args:
            components: a stacked distribution with ``batch_shape=(K,)``.
        """
        mixture = cls(components, components.batch_shape[0], hidden=())
        mixture.network = None
        return mixture

    def log_weights(self, context: Tensor) -> Tensor:
        r""":math:`\log \pi(c)`, (..., K), of contexts (..., C)."""
        if self.network is None:
            return torch.log(context)
        return torch.log_softmax(self.network(context), -1)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        given = self._needed(context)
        lead, event = x.shape[: x.ndim - len(self.event_shape)], self.event_shape
        conditions = given.expand(*lead, -1).reshape(-1, given.shape[-1])
        points = x.reshape(-1, *event)
        own = conditions if self.components.context_shape else None
        parts = self.components.log_prob(points, own, generator=generator)
        joint = parts + self.log_weights(conditions).mT
        return torch.logsumexp(joint, 0).reshape(lead)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        conditions = self._needed(context).expand(n, -1)
        shares = self.log_weights(conditions.detach()).exp()
        labels = torch.multinomial(shares, 1, True, generator=generator).squeeze(-1)
        own = conditions if self.components.context_shape else None
        drawn = self.components.rsample(n if own is None else (), own, generator)
        return drawn[labels, torch.arange(n, device=labels.device)]

    def _needed(self, context: Tensor | None) -> Tensor:
        if context is None:  # refused by name long before
            raise ValueError("ConditionalMixture needs a context")
        return context
