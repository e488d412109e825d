"""Standard bases."""

import math
from collections.abc import Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from anabranch.contracts.context import vector_size
from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import UNIT, Circle, Integers, Interval
from anabranch.contracts.marginals import Marginals
from anabranch.contracts.protocols import MakesConditioner
from anabranch.functional import (
    as_rows,
    bounded,
    expand_batch,
    log1mexp,
    standard_logistic_log_prob,
    standard_normal_log_prob,
)
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP


class Normal(Marginals):
    r"""The standard normal :math:`\mathcal N(0, I)` over events of any shape.

    Args:
        event_shape: D, or the shape of an image.
        std: another standard deviation of all numbers.
        batch_shape: the component axis.

    Raises:
        ValueError: where std is not positive.

    Example:
        >>> Normal(2).log_prob(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(
        self, event_shape: int | Shape, *, std: float = 1.0, batch_shape: Shape = ()
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.std = std
        check_positive(self, ("std",))
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        rows = as_rows(x, self.event_shape)
        if self.std == 1:
            return standard_normal_log_prob(rows)
        return standard_normal_log_prob(rows / self.std) - rows.shape[-1] * math.log(self.std)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        noise = torch.randn(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )
        return noise if self.std == 1 else self.std * noise

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.special.ndtr(x / self.std)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return self.std * torch.special.ndtri(u)


class Logistic(Marginals):
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

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.sigmoid(x)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return torch.logit(u)


class Uniform(Marginals):
    r"""The uniform distribution over a bounded domain, each number on its own.

    .. math:: p(x) = \prod_d \frac1\ell \quad\text{on the domain of length } \ell

    On a circle it is the one distribution that no rotation changes. Elsewhere than on the domain
    the log-density is minus infinity.

    Args:
        event_shape: D, or the shape of an image.
        domain: an interval with two bounds, or a circle.
        batch_shape: the component axis.

    Raises:
        ValueError: for an interval without two bounds.
        TypeError: for another domain.

    Example:
        >>> Uniform(2, Interval(0.0, 2.0)).log_prob(torch.tensor([[1.0, 0.5], [3.0, 0.5]]))
        tensor([-1.3863,    -inf])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        domain: Interval | Circle = UNIT,
        *,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        if not isinstance(domain, Interval | Circle):
            raise TypeError(f"domain must be an interval or a circle, got {domain}")
        if not math.isfinite(domain.length):
            raise ValueError(f"domain must have two bounds, got {domain}")
        self.domain, self.length = domain, domain.length
        self.lower = domain.lower if isinstance(domain, Interval) else domain.origin
        self.register_buffer("anchor", torch.zeros(()), False)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        inside = self.domain.contains(as_rows(x, self.event_shape)).all(-1)
        level = -prod(self.event_shape) * math.log(self.length)
        return torch.where(inside, x.new_full((), level), -torch.inf)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        u = torch.rand(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )
        return self._icdf(u, context)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return ((x - self.lower) / self.length).clamp(0.0, 1.0)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return self.lower + self.length * u


class DiagonalNormal(Marginals):
    r"""A normal with a free mean and scale for each number of an event.

    .. math:: z_d \sim \mathcal N(\mu_d, \sigma_d^2), \qquad
        \sigma_d = e^{b \tanh(s_d / b)}

    With a context, :math:`\mu` and s are the output of an MLP of it: the amortised posterior of a
    variational autoencoder. Fresh, it is the standard normal.

    Args:
        event_shape: D, or the shape of an image.
        context_features: size of the context, or its shape where it is an image; 0 for free
            parameters.
        hidden: hidden sizes of the MLP, used with a context only.
        conditioner: makes another network of the context, such as ``partial(ConvNet, channels=8)``
            from images to images.
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
        context_features: int | Shape = 0,
        hidden: Sequence[int] = (64,),
        conditioner: MakesConditioner | None = None,
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape, context_shape=context_features)
        self.bound = bound
        check_positive(self, ("bound",))
        self.shaped = conditioner is not None  # whether the network answers in the event's shape
        if self.context_shape and conditioner is not None:
            self.conditioner: nn.Module = conditioner(
                self.context_shape,
                (2 * self.event_shape[0], *self.event_shape[1:]),
                context_shape=(),
                batch_shape=self.batch_shape,
                generator=generator,
            )
        elif self.context_shape:
            self.conditioner = MLP(
                vector_size(self.context_shape),
                2 * prod(self.event_shape),
                hidden,
                batch_shape=batch_shape,
                zero_last=True,
                generator=generator,
            )
        else:
            self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))
            self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))

    def mean(self, context: Tensor | None = None) -> Tensor:
        r"""The means, (\*batch_shape, N, \*event) of contexts (N, ...), or with N = 1 of none."""
        loc, _ = self._moments(context)
        return loc.reshape(self._like(loc))

    def _moments(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-scale as rows, (*batch_shape, N or 1, D)."""
        if context is None or not self.context_shape:
            loc, log_scale = (as_rows(p, self.event_shape) for p in (self.loc, self.log_scale))
        else:
            rows = self.conditioner(context)
            if self.shaped:
                rows = rows.flatten(-len(self.event_shape))
            loc, log_scale = rows.chunk(2, -1)
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

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        loc, log_scale = (p.reshape(self._like(p)) for p in self._moments(context))
        return torch.special.ndtr((x - loc) * torch.exp(-log_scale))

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        loc, log_scale = (p.reshape(self._like(p)) for p in self._moments(context))
        return loc + log_scale.exp() * torch.special.ndtri(u)

    def _like(self, rows: Tensor) -> Shape:
        """The shape of rows (..., D) as events."""
        return (*rows.shape[:-1], *self.event_shape)


class DiscretizedLogistic(Distribution):
    r"""Integers by the probability that a logistic gives to their cells.

    .. math:: P(x_d) = \sigma\Bigl(\frac{x_d + \frac12 - \mu_d}{s_d}\Bigr)
        - \sigma\Bigl(\frac{x_d - \frac12 - \mu_d}{s_d}\Bigr)

    Args:
        event_shape: D, or the shape of an image.
        bound: limit of the log-scales.
        batch_shape: the component axis.

    Raises:
        ValueError: where bound is not positive.

    Source: Kingma et al. (2016), arXiv:1606.04934; Hoogeboom et al. (2019), arXiv:1905.07376.

    Example:
        >>> DiscretizedLogistic(1).log_prob(torch.zeros(1, 1)).detach().exp()
        tensor([0.2449])
    """

    domain = Integers()

    def __init__(
        self, event_shape: int | Shape, *, bound: float = 5.0, batch_shape: Shape = ()
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, *self.event_shape))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        rate = torch.exp(-bounded(self.log_scale, self.bound))
        middle = (expand_batch(x, self.batch_shape, len(self.event_shape)) - self.loc) * rate
        upper, lower = middle + 0.5 * rate, middle - 0.5 * rate
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), whose factors do not cancel
        log_cell = logsigmoid(upper) + logsigmoid(-lower) + log1mexp(rate)
        return as_rows(log_cell, self.event_shape).sum(-1)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        like = self.loc.detach()
        u = torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)
        noise = torch.logit(u.clamp_min(torch.finfo(u.dtype).tiny))
        return (like + bounded(self.log_scale.detach(), self.bound).exp() * noise).round()
