"""A flow: a base distribution seen through a transform."""

import torch
from torch import Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.transform import Transform
from anabranch.functional.shapes import Shape


class Flow(Distribution):
    r"""The distribution of decoded draws of a base.

    .. math:: \log p(x) = \log p_Z(z) + \mathrm{term}, \quad (z, \mathrm{term}) = \mathrm{encode}(x)

    Args:
        base: distribution of z; it is given the context as well if it takes one.
        transform: the map between x and z.

    Raises:
        ValueError: where base and transform differ in event shape, batch shape or context size.

    Example:
        >>> from anabranch.distributions import Normal
        >>> from anabranch.transforms import Affine, Coupling
        >>> flow = Flow(Normal(2), Coupling(Affine(), 2))
        >>> flow.log_prob(torch.zeros(1, 2)).detach()
        tensor([-1.8379])
    """

    def __init__(self, base: Distribution, transform: Transform) -> None:
        if base.event_shape != transform.event_shape:
            raise ValueError(
                f"base has event shape {base.event_shape}, transform {transform.event_shape}"
            )
        batch_shape = transform.batch_shape or base.batch_shape
        if base.batch_shape not in ((), batch_shape):
            raise ValueError(
                f"base has batch shape {base.batch_shape}, transform {transform.batch_shape}"
            )
        if len({base.context_features, transform.context_features} - {0}) > 1:
            raise ValueError(
                f"base has context size {base.context_features}, "
                f"transform {transform.context_features}"
            )
        super().__init__(
            transform.event_shape,
            batch_shape=batch_shape,
            context_features=max(base.context_features, transform.context_features),
        )
        self.base = base
        self.transform = transform
        self.exact = base.exact and transform.exact

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z, term = self.transform._encode(x, context)
        return self.base._log_prob(z, context) + term

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.transform._decode(self._latents(n, context, generator), context)[0]

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        if not self.exact:
            return super()._sample_and_log_prob(n, context, generator)
        z = self._latents(n, context, generator)
        x, term = self.transform._decode(z, context)
        return x, self.base._log_prob(z, context) - term

    def _latents(self, n: int, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        if self.batch_shape and not self.base.batch_shape:
            # one base serves all components: independent draws for each
            return self.base.rsample(self._base_shape(n, context), context, generator)
        return self.base._sample(n, context, generator)

    def _base_shape(self, n: int, context: Tensor | None) -> Shape:
        """How many draws of a shared base, beside those that its context asks for."""
        if context is None or not self.base.context_features:
            return (*self.batch_shape, n)
        return self.batch_shape if context.ndim == 2 else ()

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return "" if self.exact else "log_prob is a lower bound"
