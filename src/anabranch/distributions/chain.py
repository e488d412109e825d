"""Chains: a density of blocks of numbers, each given those before it."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Blocks, Circle, Domain
from anabranch.functional import expand_batch


class Chain(Distribution):
    r"""A product of spaces, by the chain rule: each block is conditional on the blocks before it.

    .. math:: p(x_1, \dots, x_B \mid c) = \prod_b p_b(x_b \mid e(x_1), \dots, e(x_{b-1}), c)

    Blocks are consecutive numbers of a vector, and may live on unlike spaces: angles, places on a
    sphere, reals. A factor sees what comes before it so that nothing jumps where a circle is cut
    open: :math:`e` is cosine and sine of an angle, and the number itself elsewhere. A factor
    without a context is independent of all others. The density is per product of the measures of
    the blocks.

    Args:
        factors: densities of vectors, one for each block. The context of a factor is
            `embedded_size` of all blocks before it and then the chain's own, or there is none.
        context_features: size of the chain's own context; 0 for none.

    Raises:
        ValueError: for no factor, one that is no density of vectors, or whose context has another
            size or whose component axis differs.

    Source: the chain rule; blocks of unlike spaces in one density as in Glüsenkamp (2023),
    "Unifying supervised learning and VAEs", arXiv:2008.05825 (jammy_flows).

    Example:
        >>> from anabranch.contracts.domain import CIRCLE
        >>> from anabranch.distributions import Normal, Uniform
        >>> chain = Chain([Uniform(1, CIRCLE), Normal(2)])
        >>> chain.log_prob(torch.zeros(1, 3)).exp(), chain.domain.sizes  # 1 / (2 pi)^2
        (tensor([0.0253]), (1, 2))
    """

    def __init__(self, factors: Sequence[Distribution], *, context_features: int = 0) -> None:
        factors = list(factors)
        if not factors or any(len(factor.event_shape) != 1 for factor in factors):
            shapes = [factor.event_shape for factor in factors]
            raise ValueError(f"factors must be densities of vectors, one or more, got {shapes}")
        sizes = tuple(factor.event_shape[0] for factor in factors)
        super().__init__(
            sum(sizes), batch_shape=factors[0].batch_shape, context_shape=context_features
        )
        self.domain = Blocks(tuple(factor.domain for factor in factors), sizes)
        self._check(factors)
        self._factors = nn.ModuleList(factors)
        self.sizes = sizes
        self.exact = all(factor.exact for factor in factors)
        self.stochastic = any(factor.stochastic for factor in factors)

    @property
    def factors(self) -> list[Distribution]:
        """The densities of the blocks."""
        return list(self._factors)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _check(self, factors: list[Distribution]) -> None:
        before = self.context_features
        for b, factor in enumerate(factors):
            if factor.batch_shape != self.batch_shape:
                raise ValueError(
                    f"factors must agree in batch_shape, got {self.batch_shape} and "
                    f"{factor.batch_shape} for block {b}"
                )
            if factor.context_shape not in ((), (before,) if before else ()):
                raise ValueError(
                    f"the factor of block {b} must have context_features {before} or none, got "
                    f"{factor.context_shape}"
                )
            before += embedded_size(factor.domain, factor.event_shape[0])

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        parts = zip(self.factors, x.split(self.sizes, -1), self.contexts(x, context), strict=True)
        terms = [factor._log_prob(block, seen, generator) for factor, block, seen in parts]
        return sum(terms[1:], terms[0])

    def contexts(self, x: Tensor, context: Tensor | None = None) -> list[Tensor | None]:
        """What each factor is given of x, (..., N, D), and of the context; None for nothing."""
        seen, contexts = context, []
        for factor, block in zip(self.factors, x.split(self.sizes, -1), strict=True):
            contexts.append(seen)
            seen = _joined(seen, embedding(factor.domain, block))
        return contexts

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        seen, blocks = context, []
        for factor in self.factors:
            block = factor._sample(n, seen if factor.context_shape else None, generator)
            block = expand_batch(block, self.batch_shape, 1)
            blocks.append(block)
            seen = _joined(seen, embedding(factor.domain, block))
        return torch.cat(blocks, -1)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        parts = zip(self.factors, x.split(self.sizes, -1), self.contexts(x, context), strict=True)
        for factor, block, seen in parts:
            factor._initialize(block, seen if factor.context_shape else None, generator)


def embedding(domain: Domain, x: Tensor) -> Tensor:
    """What networks see of a block: cosine and sine of angles, else the numbers.

    Example:
        >>> from anabranch.contracts.domain import CIRCLE
        >>> embedding(CIRCLE, torch.tensor([[0.0, torch.pi]])).round()
        tensor([[ 1., -1.,  0., -0.]])
    """
    if not isinstance(domain, Circle):
        return x
    angle = (x - domain.origin) * (2 * math.pi / domain.period)
    return torch.cat((angle.cos(), angle.sin()), -1)


def embedded_size(domain: Domain, features: int) -> int:
    """How many numbers `embedding` gives of a block.

    Example:
        >>> from anabranch.contracts.domain import CIRCLE, REAL
        >>> embedded_size(CIRCLE, 2), embedded_size(REAL, 2)
        (4, 2)
    """
    return 2 * features if isinstance(domain, Circle) else features


def _joined(seen: Tensor | None, block: Tensor) -> Tensor:
    """The context with a further block behind it, (..., N, C + E)."""
    if seen is None:
        return block
    lead = torch.broadcast_shapes(seen.shape[:-1], block.shape[:-1])
    return torch.cat([part.expand(*lead, part.shape[-1]) for part in (seen, block)], -1)
