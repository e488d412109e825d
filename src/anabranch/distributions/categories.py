"""Columns of categories: independent given the component, and beside a density of the others."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.context import common_context
from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Blocks, Domain, Integers, Product
from anabranch.functional.shapes import Shape


class Categories(Distribution):
    r"""Independent categories, written as the numbers 0..levels-1 in floating point.

    .. math:: \log p(k) = \sum_j \log \operatorname{softmax}(\theta_j)_{k_j}

    A missing category, NaN, is summed out: its factor is one.

    Args:
        levels: how many categories each of the C columns has.
        batch_shape: the component axis.

    Raises:
        ValueError: for no column, or one with fewer than one category.

    Source: Lazarsfeld, Henry (1968), "Latent structure analysis": the classes of a mixture.

    Example:
        >>> pair = Categories([2, 4])
        >>> pair.log_prob(torch.tensor([[1.0, 3.0], [0.0, torch.nan]])).exp().detach()
        tensor([0.1250, 0.5000])
    """

    shared_buffers = ("absent",)
    absent: Tensor

    def __init__(self, levels: Sequence[int], *, batch_shape: Shape = ()) -> None:
        levels = [int(n) for n in levels]
        if not levels or min(levels) < 1:
            raise ValueError(f"levels must name one category or more of each column, got {levels}")
        super().__init__(len(levels), batch_shape=batch_shape)
        self.levels = levels
        self.domain = Product(tuple(Integers(n) for n in levels))
        self.logits = nn.Parameter(torch.zeros(*batch_shape, len(levels), max(levels)))
        absent = torch.arange(max(levels)) >= torch.tensor(levels)[:, None]
        self.register_buffer("absent", absent, persistent=False)

    @property
    def log_table(self) -> Tensor:
        """Log-probabilities, (*batch_shape, C, most levels); minus infinity where there is none."""
        return torch.log_softmax(self.logits.masked_fill(self.absent, -torch.inf), -1)

    @torch.no_grad()
    def set_probabilities(self, tables: Sequence[Tensor]) -> None:
        """Set the probabilities of each column, C tensors (*batch_shape, levels), all positive.

        Raises:
            ValueError: for another shape, or a probability that is not positive.
        """
        for j, (table, size) in enumerate(zip(tables, self.levels, strict=True)):
            if table.shape != (*self.batch_shape, size) or not bool((table > 0).all()):
                raise ValueError(
                    f"probabilities of column {j} must be positive, of shape "
                    f"{(*self.batch_shape, size)}, got shape {tuple(table.shape)}"
                )
            self.logits[..., j, :size] = table.log().to(self.logits)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        known = ~x.isnan()
        code = torch.where(known, x, 0.0).long()
        sizes = self.absent.shape[-1] - self.absent.sum(-1)
        within = (code >= 0) & (code < sizes)
        code = torch.where(within, code, 0)
        shape = torch.broadcast_shapes(code.shape, (*self.batch_shape, 1, len(self.levels)))
        table = self.log_table.unsqueeze(-3).expand(*shape, -1)
        log_prob = table.gather(-1, code.expand(shape)[..., None]).squeeze(-1)
        log_prob = torch.where(within, log_prob, -torch.inf)
        return torch.where(known, log_prob, 0.0).sum(-1)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        table = self.log_table.exp().flatten(0, -2)
        # multinomial refuses to draw nothing
        codes = torch.multinomial(table, max(n, 1), True, generator=generator)[:, :n]
        codes = codes.reshape(*self.batch_shape, len(self.levels), n)
        return codes.mT.to(self.logits.dtype)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, levels={self.levels}"


class WithCategories(Distribution):
    r"""A density of the first D columns and the categories of the others, independent.

    .. math:: p(x, k) = f(x) \prod_j p_j(k_j)

    As the component of a mixture, the columns depend on each other through the component. What it
    gives is a density times a probability.

    Args:
        density: f, of vectors.
        categories: of the columns behind them.

    Raises:
        ValueError: where f is no density of vectors, or their component axes differ.

    Example:
        >>> from anabranch.distributions import Normal
        >>> joint = WithCategories(Normal(2), Categories([3]))
        >>> joint.log_prob(torch.tensor([[0.0, 0.0, 2.0]])).detach()  # -log(2 pi) - log(3)
        tensor([-2.9365])
    """

    def __init__(self, density: Distribution, categories: Categories) -> None:
        if len(density.event_shape) != 1:
            raise ValueError(f"density must be one of vectors, got {density.event_shape}")
        if density.batch_shape != categories.batch_shape:
            raise ValueError(
                "density and categories must agree in batch_shape, got "
                f"{density.batch_shape} and {categories.batch_shape}"
            )
        n_real = density.event_shape[0]
        super().__init__(
            n_real + categories.event_shape[0],
            batch_shape=density.batch_shape,
            context_shape=common_context(density, categories, ("the density", "the categories")),
        )
        self.density = density
        self.categories = categories
        self.domain = _beside(density.domain, n_real, categories.levels)
        self.exact = density.exact
        self.stochastic = density.stochastic

    @property
    def n_real(self) -> int:
        """D, the columns of the density."""
        return self.density.event_shape[0]

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        f = self.density._log_prob(x[..., : self.n_real], context, generator)
        return f + self.categories._log_prob(x[..., self.n_real :], None, generator)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        x = self.density._sample(n, context, generator)
        return torch.cat([x, self.categories._sample(n, None, generator)], -1)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.density._initialize(x[..., : self.n_real], context, generator)


def _beside(domain: Domain, size: int, levels: list[int]) -> Domain:
    """The domain of a density's columns and of the categories behind them."""
    codes = tuple(Integers(n) for n in levels)
    if isinstance(domain, Product):
        return Product((*domain.parts, *codes))
    if domain.elementwise:
        return Product(((domain,) * size) + codes)
    before = (domain.parts, domain.sizes) if isinstance(domain, Blocks) else ((domain,), (size,))
    return Blocks((*before[0], Product(codes)), (*before[1], len(codes)))
