"""Numbers that are independent of each other, given a context."""

from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.heads import Head
from anabranch.functional.shapes import Shape


class Independent(Distribution):
    r"""Each number by a head, whose parameters a network makes of the context.

    .. math:: p(x \mid c) = \prod_d h(x_d;\, \theta_d(c))

    What a regression says: it knows of no number what the others are, so that two answers that are
    both likely become blurred ones that are neither.

    Args:
        head: the distribution h of one number.
        network: from contexts (..., \*context_shape) to parameters (..., n_params, \*event_shape).
        event_shape: D, or the shape of an image.
        context_shape: an integer is a vector's size.

    Example:
        >>> import torch
        >>> from anabranch.distributions import Bernoulli
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.Unflatten(-1, (1, 3)))
        >>> bits = Independent(Bernoulli(), network, 3, 2)
        >>> bits.sample(context=torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self, head: Head, network: nn.Module, event_shape: int | Shape, context_shape: int | Shape
    ) -> None:
        super().__init__(event_shape, context_shape=context_shape)
        self.head, self.network, self.domain = head, network, head.domain

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.head.log_prob(x, self._told(context)).flatten(1).sum(1)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.head.sample(self._told(context), generator)

    def _told(self, context: Tensor | None) -> Tensor:
        r"""The head's parameters, (n_params, N, \*event_shape)."""
        return self.network(context).movedim(1, 0)
