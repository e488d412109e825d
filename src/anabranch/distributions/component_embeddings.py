"""Components that share a conditional density, and differ in what it is told."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution


class ComponentEmbeddings(Distribution):
    r"""K components of one conditional density, each with learned numbers as its context.

    .. math:: p(x \mid k) = p(x \mid e_k)

    A mixture of them has hardly more parameters than the density alone: what all components have in
    common is learned once, from all points.

    Args:
        density: that takes a vector as its context, of one component.
        n_components: K.
        generator: source of the initial embeddings, standard normal.

    Raises:
        ValueError: for a density without such a context or with components of its own, or no
            component.

    Source: a learned vector for each class as in Mirza, Osindero (2014), "Conditional generative
    adversarial nets", arXiv:1411.1784; here the class is latent.

    Example:
        >>> from anabranch.distributions import DiagonalNormal, Mixture
        >>> mixture = Mixture(ComponentEmbeddings(DiagonalNormal(2, context_features=4), 3))
        >>> mixture.sample_with_labels(5)[0].shape
        torch.Size([5, 2])
    """

    def __init__(
        self, density: Distribution, n_components: int, *, generator: Generator | None = None
    ) -> None:
        if density.batch_shape or not density.context_features:
            raise ValueError("ComponentEmbeddings: density must be one that takes a vector context")
        if n_components < 1:
            raise ValueError(f"n_components must be at least 1, got {n_components}")
        super().__init__(density.event_shape, batch_shape=(n_components,))
        self.density = density
        self.domain = density.domain
        self.exact, self.stochastic = density.exact, density.stochastic
        draws = torch.empty(n_components, density.context_features)
        self.embeddings = nn.Parameter(draws.normal_(generator=generator))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        if not self.batch_shape:
            return self._one_log_prob(x, self.embeddings, generator)
        own = x if x.ndim > 1 + len(self.event_shape) else x.expand(*self.batch_shape, *x.shape)
        # one after the other: the rows of a component fill the processor
        parts = [
            self._one_log_prob(points, embedding, generator)
            for points, embedding in zip(own, self.embeddings, strict=True)
        ]
        return torch.stack(parts)

    def _one_log_prob(self, x: Tensor, embedding: Tensor, generator: Generator | None) -> Tensor:
        return self.density._log_prob(x, embedding.expand(len(x), -1), generator)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        if not self.batch_shape:
            return self.density._sample(n, self.embeddings.expand(n, -1), generator)
        parts = [self.density._sample(n, e.expand(n, -1), generator) for e in self.embeddings]
        return torch.stack(parts)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        embedding = self.embeddings if not self.batch_shape else self.embeddings[0]
        points = x if x.ndim == 1 + len(self.event_shape) else x[0]
        self.density._initialize(points, embedding.expand(len(points), -1), generator)
