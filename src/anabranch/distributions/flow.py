"""A flow: a base distribution seen through a transform."""

from torch import Generator, Tensor

from anabranch.contracts.context import common_context
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
        ValueError: where base and transform do not fit: the transform's latents are of another
            shape or domain than the base's points, or batch shapes or contexts differ.

    Example:
        >>> import torch
        >>> from anabranch.distributions import Normal
        >>> from anabranch.transforms import Affine, Coupling
        >>> flow = Flow(Normal(2), Coupling(Affine(), 2))
        >>> flow.log_prob(torch.zeros(1, 2)).detach()
        tensor([-1.8379])
    """

    def __init__(self, base: Distribution, transform: Transform) -> None:
        if transform.latent_shape != base.event_shape:
            raise ValueError(
                f"Flow: the base takes {base.event_shape}, "
                f"the transform gives {transform.latent_shape}"
            )
        if transform.codomain is not None and not transform.codomain.within(base.domain):
            raise ValueError(
                f"Flow: the base takes points of {base.domain}, "
                f"the transform gives points of {transform.codomain}"
            )
        batch_shape = transform.batch_shape or base.batch_shape
        if base.batch_shape not in ((), batch_shape):
            raise ValueError(
                f"base has batch shape {base.batch_shape}, transform {transform.batch_shape}"
            )
        super().__init__(
            transform.event_shape,
            batch_shape=batch_shape,
            context_shape=common_context(base, transform, ("Flow: the base", "the transform")),
        )
        self.base = base
        self.transform = transform
        self.domain = base.domain if transform.domain is None else transform.domain
        self.exact = base.exact and transform.exact
        self.stochastic = base.stochastic or transform.stochastic

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        z, term = self.transform._encode(x, context, generator)
        return self.base._log_prob(z, context, generator) + term

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        z = self._latents(n, context, generator)
        return self.transform._decode(z, context, generator)[0]

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        if not self.exact:
            return super()._sample_and_log_prob(n, context, generator)
        z = self._latents(n, context, generator)
        x, term = self.transform._decode(z, context, generator)
        return x, self.base._log_prob(z, context, generator) - term

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.transform._initialize(x, context, generator)
        z, _ = self.transform._encode(x, context, generator)
        self.base._initialize(z, context, generator)

    def _latents(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        if self.batch_shape and not self.base.batch_shape:
            # one base serves all components: independent draws for each
            return self.base.rsample(self._base_shape(n, context), context, generator)
        return self.base._sample(n, context, generator)

    def _base_shape(self, n: int, context: Tensor | None) -> Shape:
        """How many draws of a shared base, beside those that its context asks for."""
        if context is None or not self.base.context_shape:
            return (*self.batch_shape, n)
        return self.batch_shape if context.ndim == 1 + len(self.context_shape) else ()

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return "" if self.exact else "log_prob is a lower bound"
