"""Means, modes, entropies and divergences: closed where there is a formula, else by draws."""

from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch import distributions as td

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.bounded_families import Beta, Exponential, Gamma
from anabranch.distributions.line_families import Cauchy, Gumbel, Laplace
from anabranch.distributions.low_rank_normal import LowRankNormal
from anabranch.distributions.standard import DiagonalNormal, Normal, Uniform
from anabranch.distributions.torch_base import TorchBase

DRAWS = 10_000


class Estimate(NamedTuple):
    """A number of a distribution.

    Attributes:
        value: what it is, or about.
        standard_error: of draws; zero where there is a formula.
    """

    value: Tensor
    standard_error: Tensor


def mean(
    p: Distribution,
    context: Tensor | None = None,
    *,
    n: int = DRAWS,
    generator: Generator | None = None,
) -> Estimate:
    r"""The mean :math:`\mathbb E_p[x]`, (\*batch_shape, \*lead, \*event_shape).

    Args:
        p: a distribution.
        context: (*lead, *context_shape), where it takes one.
        n: draws, where there is no formula.
        generator: source of the draws.

    Example:
        >>> from anabranch.distributions import Gamma
        >>> mean(Gamma(1, concentration=3.0, rate=2.0)).value
        tensor([1.5000])
    """
    twin = _closed(p, context)
    if twin is not None:
        value = twin.mean.expand(p.event_shape)
        return Estimate(value, torch.zeros_like(value))
    return _averaged(p.sample(n, context, generator), len(p.batch_shape))


def mode(p: Distribution) -> Tensor:
    """The point of the highest density, of the shape of an event, where there is a formula.

    Args:
        p: a distribution.

    Raises:
        TypeError: where there is none; search it by gradient steps on ``log_prob``.

    Example:
        >>> from anabranch.distributions import Gamma
        >>> mode(Gamma(1, concentration=3.0, rate=2.0))
        tensor([1.])
    """
    twin = _closed(p, None)
    if twin is None:
        raise TypeError(f"there is no formula of the mode of a {type(p).__name__}")
    return twin.mode.expand(p.event_shape)


def entropy(
    p: Distribution,
    context: Tensor | None = None,
    *,
    n: int = DRAWS,
    generator: Generator | None = None,
) -> Estimate:
    r"""The entropy :math:`-\mathbb E_p[\log p(x)]` in nats, (\*batch_shape, \*lead).

    Args:
        p: a distribution.
        context: (*lead, *context_shape), where it takes one.
        n: draws, where there is no formula.
        generator: source of the draws.

    Example:
        >>> from anabranch.distributions import Normal
        >>> entropy(Normal(2)).value
        tensor(2.8379)
    """
    twin = _closed(p, context)
    if twin is not None:
        try:
            each = twin.entropy()
            value = each.expand((*p.event_shape[: len(p.event_shape) - len(twin.event_shape)],))
            return Estimate(value.sum(), torch.zeros(()).to(value))
        except NotImplementedError:
            pass
    with torch.no_grad():
        _, log_prob = p.sample_and_log_prob(n, context, generator)
    return _averaged(-log_prob, len(p.batch_shape))


def kl_divergence(
    p: Distribution,
    q: Distribution,
    context: Tensor | None = None,
    *,
    n: int = DRAWS,
    generator: Generator | None = None,
) -> Estimate:
    r"""The divergence :math:`\mathbb E_p[\log p(x) - \log q(x)]` in nats, (\*batch_shape, \*lead).

    Args:
        p: the distribution that is averaged over.
        q: the other one, over points of the same shape.
        context: (*lead, *context_shape), for those of the two that take one.
        n: draws of p, where there is no formula.
        generator: source of the draws.

    Raises:
        ValueError: where the two are over other events, or have a component axis.

    Example:
        >>> from anabranch.distributions import Normal
        >>> kl_divergence(Normal(2), Normal(2, std=2.0)).value
        tensor(0.6363)
    """
    if p.event_shape != q.event_shape:
        raise ValueError(f"p is over events {p.event_shape}, q over {q.event_shape}")
    if p.batch_shape or q.batch_shape:
        raise ValueError("kl_divergence is of two distributions without component axis")
    first, second = _closed(p, context), _closed(q, context)
    if first is not None and second is not None:
        try:
            each = td.kl_divergence(first, second)
            left = len(p.event_shape) - len(first.event_shape)
            value = each.expand(p.event_shape[:left]).sum()
            return Estimate(value, torch.zeros(()).to(value))
        except NotImplementedError:
            pass
    of_p, of_q = (context if d.context_shape else None for d in (p, q))
    with torch.no_grad():
        x, log_p = p.sample_and_log_prob(n, of_p, generator)
        return _averaged(log_p - q.log_prob(x, of_q), 0)


def _averaged(draws: Tensor, axis: int) -> Estimate:
    """The mean along an axis of draws, and its standard error."""
    return Estimate(draws.mean(axis), draws.std(axis) / draws.shape[axis] ** 0.5)


def _closed(p: Distribution, context: Tensor | None) -> td.Distribution | None:
    """The same as an object of torch's, whose batch axes are axes of the event, if there is one."""
    return None if p.batch_shape or context is not None or p.context_shape else _twin(p)


@singledispatch
def _twin(p: Distribution) -> td.Distribution | None:
    return None


@_twin.register
def _(p: Normal) -> td.Distribution:
    return td.Normal(torch.zeros_like(p.anchor), torch.full_like(p.anchor, p.std))


@_twin.register
def _(p: DiagonalNormal) -> td.Distribution:
    loc, log_scale = (values.squeeze(0) for values in p._moments(None))
    shape = p.event_shape
    return td.Normal(loc.reshape(shape), log_scale.exp().reshape(shape))


@_twin.register
def _(p: Uniform) -> td.Distribution:
    lower = torch.full_like(p.anchor, p.lower)
    return td.Uniform(lower, lower + p.length)


@_twin.register
def _(p: Laplace) -> td.Distribution:
    return td.Laplace(p.loc, p.scale)


@_twin.register
def _(p: Cauchy) -> td.Distribution:
    return td.Cauchy(p.loc, p.scale)


@_twin.register
def _(p: Gumbel) -> td.Distribution:
    return td.Gumbel(p.loc, p.scale)


@_twin.register
def _(p: Exponential) -> td.Distribution:
    return td.Exponential(p.rate)


@_twin.register
def _(p: Gamma) -> td.Distribution:
    return td.Gamma(p.concentration, p.rate)


@_twin.register
def _(p: Beta) -> td.Distribution:
    return td.Beta(p.alpha, p.beta)


@_twin.register
def _(p: LowRankNormal) -> td.Distribution:
    return td.MultivariateNormal(p.loc.squeeze(0), p.covariance)


@_twin.register
def _(p: TorchBase) -> td.Distribution:
    return p.distribution
