"""A transform that is given a part of the context alone."""

from math import prod

from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform


class GivenPart(Transform):
    """A transform that is given some numbers of a context that holds more, in its own shape.

    So what a network makes of a context at several scales can travel as one vector, of which each
    scale of a flow takes its own map.

    Args:
        transform: with a context of any shape.
        context_features: size of the whole context, a vector.
        start: where the part begins.

    Raises:
        ValueError: where the transform takes no context, or the part does not lie within.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Affine, Coupling
        >>> part = GivenPart(Coupling(Affine(), 3, context_features=2), 5, start=1)
        >>> part.encode(torch.zeros(4, 3), torch.zeros(4, 5))[0].shape
        torch.Size([4, 3])
    """

    def __init__(self, transform: Transform, context_features: int, *, start: int = 0) -> None:
        if not transform.context_shape:
            raise ValueError("GivenPart: the transform takes no context")
        stop = start + prod(transform.context_shape)
        if start < 0 or stop > context_features:
            raise ValueError(
                f"GivenPart: numbers {start} to {stop} of a context of {context_features}"
            )
        super().__init__(
            transform.event_shape,
            transform.latent_shape,
            batch_shape=transform.batch_shape,
            context_shape=context_features,
        )
        self.transform, self.start, self.stop = transform, start, stop
        self.domain, self.codomain = transform.domain, transform.codomain
        self.exact, self.stochastic = transform.exact, transform.stochastic
        self.bijective = transform.bijective

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._encode(x, self._part(context), generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._decode(z, self._part(context), generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.transform._initialize(x, self._part(context), generator)

    def _part(self, context: Tensor | None) -> Tensor | None:
        if context is None:
            return None
        part = context[..., self.start : self.stop]
        return part.reshape(*part.shape[:-1], *self.transform.context_shape)
