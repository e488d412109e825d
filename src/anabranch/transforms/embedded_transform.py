"""A transform given what a network makes of its context."""

from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape


class EmbeddedTransform(Transform):
    r"""A transform given what a network makes of its context, :math:`z = f(x; h(c))`.

    The network is called once for all parts inside, and trained with them.
    `anabranch.distributions.Embedded` is the same for densities that are no flows.

    Args:
        transform: whose context is the network's output.
        network: h, called with contexts (..., \*context_shape).
        context_shape: of c; an integer is a vector's size.

    Raises:
        ValueError: where the transform takes no context.

    Source: Ardizzone et al. (2019), "Guided image generation with conditional invertible neural
    networks", arXiv:1907.02392.

    Example:
        >>> import torch
        >>> from anabranch.networks import MLP
        >>> from anabranch.transforms import Affine, Coupling
        >>> told = EmbeddedTransform(Coupling(Affine(), 2, context_features=4), MLP(7, 4), 7)
        >>> told.encode(torch.zeros(5, 2), torch.zeros(5, 7))[0].shape
        torch.Size([5, 2])
    """

    def __init__(
        self, transform: Transform, network: nn.Module, context_shape: int | Shape
    ) -> None:
        if not transform.context_shape:
            raise ValueError("EmbeddedTransform: the transform takes no context for a network")
        super().__init__(
            transform.event_shape,
            transform.latent_shape,
            batch_shape=transform.batch_shape,
            context_shape=context_shape,
        )
        self.transform, self.network = transform, network
        self.domain, self.codomain = transform.domain, transform.codomain
        self.exact, self.stochastic = transform.exact, transform.stochastic
        self.bijective = transform.bijective

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._encode(x, self.network(context), generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._decode(z, self.network(context), generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.transform._initialize(x, self.network(context), generator)
