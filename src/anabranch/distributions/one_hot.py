"""Distributions of one-hot vectors, the bases of discrete flows."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Integers
from anabranch.networks.degrees import DegreeMLP


class OneHotCategorical(Distribution):
    r"""One-hot numbers, each with any distribution, given those of lower degrees.

    .. math:: p(x) = \prod_d \mathrm{softmax}(f_d(x_{<d}))_{x_d}

    Where vectors are not quite one-hot, as behind a straight-through argmax, their logarithms are
    mixed, which gives such maps their gradients.

    Args:
        degrees: of each of the D numbers; all zero for independent ones.
        levels: K.
        hidden: hidden sizes of the network; none for a table of logits of each pair.
        generator: source of the initial logits, which are small.

    Source: Tran et al. (2019), "Discrete flows", arXiv:1905.10347.

    Example:
        >>> base = OneHotCategorical([0, 0], 4)
        >>> base.log_prob(torch.eye(4)[[1, 2]].unsqueeze(0)).shape
        torch.Size([1])
    """

    domain = Integers(2)

    def __init__(
        self,
        degrees: Sequence[int],
        levels: int,
        *,
        hidden: Sequence[int] = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((len(degrees), levels))
        self.degrees, self.levels = list(degrees), levels
        self.network = DegreeMLP(
            degrees, levels, levels, hidden=hidden, scale=0.05, generator=generator
        )

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return (x * self.network(x).log_softmax(-1)).sum((-2, -1))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        bias = next(self.network.parameters())
        x = bias.new_zeros(n, *self.event_shape)
        for degree in sorted(set(self.degrees)):
            p = self.network(x).softmax(-1).flatten(0, 1)
            drawn = torch.multinomial(p, 1, generator=generator)
            hot = torch.zeros_like(p).scatter_(-1, drawn, 1.0).view_as(x)
            here = torch.tensor([d == degree for d in self.degrees], device=x.device)
            x = torch.where(here.unsqueeze(-1), hot, x)
        return x
