"""A density given what a network makes of its context."""

from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.functional.shapes import Shape


class Embedded(Distribution):
    r"""A density given what a network makes of its context, :math:`p(x \mid h(c))`.

    Both are trained together: the network learns what of the context matters. It is the
    conditioning network of a conditional invertible network, and the summary or embedding network
    of simulation-based inference.

    Args:
        density: whose context is the network's output.
        network: h, called with contexts (..., \*context_shape).
        context_shape: of c; an integer is a vector's size.

    Raises:
        ValueError: where the density takes no context.

    Source: Ardizzone et al. (2019), "Guided image generation with conditional invertible neural
    networks", arXiv:1907.02392; Radev et al. (2020), "BayesFlow", arXiv:2003.06281.

    Example:
        >>> import torch
        >>> from anabranch.distributions import DiagonalNormal
        >>> from anabranch.networks import MLP
        >>> given = Embedded(DiagonalNormal(2, context_features=4), MLP(7, 4), 7)
        >>> given.sample(context=torch.zeros(5, 7)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, density: Distribution, network: nn.Module, context_shape: int | Shape
    ) -> None:
        if not density.context_shape:
            raise ValueError("Embedded: the density takes no context that a network could give")
        super().__init__(
            density.event_shape, batch_shape=density.batch_shape, context_shape=context_shape
        )
        self.density, self.network = density, network
        self.domain = density.domain
        self.exact, self.stochastic = density.exact, density.stochastic

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.density._log_prob(x, self.network(context), generator)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.density._sample(n, self.network(context), generator)

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self.density._sample_and_log_prob(n, self.network(context), generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.density._initialize(x, self.network(context), generator)
