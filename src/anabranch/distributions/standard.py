"""Standard bases."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.functional import (
    as_rows,
    bounded,
    expand_batch,
    standard_logistic_log_prob,
    standard_normal_log_prob,
)
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP


class Normal(Distribution):
    r"""The standard normal :math:`\mathcal N(0, I)` over events of any shape.

    Args:
        event_shape: D, or the shape of an image.
        batch_shape: the component axis.

    Example:
        >>> Normal(2).log_prob(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(self, event_shape: int | Shape, *, batch_shape: Shape = ()) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return standard_normal_log_prob(as_rows(x, self.event_shape))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        return torch.randn(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )


class Logistic(Distribution):
    r"""The standard logistic, independent in each dimension: the base of NICE.

    .. math:: p(z) = \prod_d \frac{e^{-z_d}}{(1 + e^{-z_d})^2}

    Args:
        event_shape: D, or the shape of an image.
        batch_shape: the component axis.

    Example:
        >>> Logistic(1).log_prob(torch.zeros(1, 1))
        tensor([-1.3863])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(self, event_shape: int | Shape, *, batch_shape: Shape = ()) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.register_buffer("anchor", torch.zeros(()), False)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return standard_logistic_log_prob(as_rows(x, self.event_shape))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        u = torch.rand(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )
        tiny = torch.finfo(u.dtype).tiny  # rand can return 0, whose logit is infinite
        return torch.log(u.clamp_min(tiny)) - torch.log1p(-u)


class DiagonalNormal(Distribution):
    r"""A normal with a free mean and scale for each number of an event.

    .. math:: z_d \sim \mathcal N(\mu_d, \sigma_d^2), \qquad
        \sigma_d = e^{b \tanh(s_d / b)}

    With a context, :math:`\mu` and s are the output of an MLP of it: the amortised posterior of a
    variational autoencoder. Fresh, it is the standard normal.

    Args:
        event_shape: D, or the shape of an image.
        context_features: size of the context; 0 for free parameters.
        hidden: hidden sizes of the MLP, used with a context only.
        bound: limit b of the log-scales.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: where bound is not positive.

    Example:
        >>> DiagonalNormal(2).log_prob(torch.zeros(3, 2)).detach()
        tensor([-1.8379, -1.8379, -1.8379])
    """

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape, context_shape=context_features)
        if not bound > 0:
            raise ValueError(f"bound must be positive, got {bound}")
        self.bound = bound
        if context_features:
            self.conditioner = MLP(
                context_features,
                2 * prod(self.event_shape),
                hidden,
                batch_shape=batch_shape,
                zero_last=True,
                generator=generator,
            )
        else:
            self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))
            self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))

    def _moments(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-scale as rows, (*batch_shape, N or 1, D)."""
        if context is None or not self.context_shape:
            loc, log_scale = (as_rows(p, self.event_shape) for p in (self.loc, self.log_scale))
        else:
            loc, log_scale = self.conditioner(context).chunk(2, -1)
        return loc, bounded(log_scale, self.bound)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        loc, log_scale = self._moments(context)
        rows = as_rows(expand_batch(x, self.batch_shape, len(self.event_shape)), self.event_shape)
        noise = (rows - loc) * torch.exp(-log_scale)
        return standard_normal_log_prob(noise) - log_scale.sum(-1)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._sample_and_log_prob(n, context, generator)[0]

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        loc, log_scale = self._moments(context)
        shape = (*self.batch_shape, n, prod(self.event_shape))
        noise = torch.randn(shape, generator=generator, dtype=loc.dtype, device=loc.device)
        x = torch.addcmul(loc, noise, log_scale.exp())
        x = x.reshape(*x.shape[:-1], *self.event_shape)
        return x, standard_normal_log_prob(noise) - log_scale.sum(-1)
