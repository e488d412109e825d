"""Families of the half-line and of intervals."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import REAL, UNIT, Interval
from anabranch.contracts.marginals import Marginals
from anabranch.distributions.family import Family, Value, searched_icdf
from anabranch.functional import log1mexp
from anabranch.functional.shapes import Shape

POSITIVE = Interval(0.0)


class Exponential(Family, Marginals):
    r"""The exponential distribution of positive numbers.

    .. math:: f(x) = \lambda e^{-\lambda x}

    Args:
        event_shape: D, or the shape of an image.
        rate: :math:`\lambda`, a number or a tensor that broadcasts to the event shape.
        batch_shape: the component axis.

    Raises:
        ValueError: for a rate that is not positive, or another shape.

    Example:
        >>> Exponential(1, rate=2.0).log_prob(torch.tensor([[0.0], [-1.0]])).exp()
        tensor([2., 0.])
    """

    domain = POSITIVE
    rate: Tensor

    def __init__(
        self, event_shape: int | Shape, *, rate: Value = 1.0, batch_shape: Shape = ()
    ) -> None:
        positive = ("rate",)
        super().__init__(event_shape, {"rate": rate}, positive=positive, batch_shape=batch_shape)

    def _log_density(self, x: Tensor) -> Tensor:
        return torch.log(self.rate) - self.rate * x

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._icdf(self._uniform(n, generator), context)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return -torch.expm1(-self.rate * x.clamp_min(0))

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return -torch.log1p(-u) / self.rate


class Gamma(Family, Marginals):
    r"""The gamma distribution of positive numbers.

    .. math:: f(x) = \frac{\beta^\alpha}{\Gamma(\alpha)}\, x^{\alpha - 1} e^{-\beta x}

    Draws carry gradients to x by implicit reparameterisation.

    Args:
        event_shape: D, or the shape of an image.
        concentration: :math:`\alpha`, a number or a tensor that broadcasts to the event shape.
        rate: :math:`\beta`, likewise.
        batch_shape: the component axis.

    Raises:
        ValueError: for parameters that are not positive, or other shapes.

    Example:
        >>> Gamma(1, concentration=1.0, rate=2.0).log_prob(torch.tensor([[0.5]])).exp()
        tensor([0.7358])
    """

    domain = POSITIVE
    concentration: Tensor
    rate: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        concentration: Value = 2.0,
        rate: Value = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        parameters = {"concentration": concentration, "rate": rate}
        super().__init__(
            event_shape, parameters, positive=tuple(parameters), batch_shape=batch_shape
        )

    def _log_density(self, x: Tensor) -> Tensor:
        a, b = self.concentration, self.rate
        return torch.special.xlogy(a - 1, x) - b * x + a * torch.log(b) - torch.lgamma(a)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._gamma(self.concentration, n, generator) / self.rate

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        places = (self.rate * x).clamp_min(0)
        return torch.special.gammainc(self.concentration.to(places).expand(places.shape), places)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        centre = self.concentration / self.rate
        return searched_icdf(self, u, centre)


class Beta(Family):
    r"""The beta distribution of shares between 0 and 1.

    .. math:: f(x) = \frac{\Gamma(\alpha + \beta)}{\Gamma(\alpha)\, \Gamma(\beta)}\,
        x^{\alpha - 1} (1 - x)^{\beta - 1}

    Args:
        event_shape: D, or the shape of an image.
        alpha: a number or a tensor that broadcasts to the event shape.
        beta: likewise.
        batch_shape: the component axis.

    Raises:
        ValueError: for parameters that are not positive, or other shapes.

    Example:
        >>> Beta(1, alpha=2.0, beta=1.0).log_prob(torch.tensor([[0.25]])).exp()
        tensor([0.5000])
    """

    domain = UNIT
    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        alpha: Value = 2.0,
        beta: Value = 2.0,
        batch_shape: Shape = (),
    ) -> None:
        parameters = {"alpha": alpha, "beta": beta}
        super().__init__(
            event_shape, parameters, positive=tuple(parameters), batch_shape=batch_shape
        )

    def _log_density(self, x: Tensor) -> Tensor:
        a, b = self.alpha, self.beta
        level = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
        return level + torch.special.xlogy(a - 1, x) + torch.special.xlog1py(b - 1, -x)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        first, second = (self._gamma(p, n, generator) for p in (self.alpha, self.beta))
        eps = torch.finfo(first.dtype).eps
        return (first / (first + second)).clamp_max(1 - eps)


class TruncatedNormal(Family, Marginals):
    r"""A normal of which only what lies in an interval is kept.

    .. math:: f(x) = \frac{\mathcal N(x; m, s^2)}{\Phi(\frac{b - m}s) - \Phi(\frac{a - m}s)},
        \qquad a \le x \le b

    Where the interval lies in the upper tail it is turned round, so that nothing cancels; draws
    are exact to some 37 standard deviations from m, the density beyond.

    Args:
        event_shape: D, or the shape of an image.
        domain: the interval from a to b, either of which may be infinite.
        loc: m of the whole normal, a number or a tensor that broadcasts to the event shape.
        scale: s of it, likewise, positive.
        batch_shape: the component axis.

    Raises:
        ValueError: for a scale that is not positive, or other shapes.
        TypeError: for a domain that is no interval.

    Example:
        >>> half = TruncatedNormal(1, Interval(0.0))
        >>> half.log_prob(torch.tensor([[0.0], [-1.0]])).exp()
        tensor([0.7979, 0.0000])
    """

    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        domain: Interval = REAL,
        *,
        loc: Value = 0.0,
        scale: Value = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        parameters = {"loc": loc, "scale": scale}
        super().__init__(event_shape, parameters, positive=("scale",), batch_shape=batch_shape)
        if not isinstance(domain, Interval):
            raise TypeError(f"domain must be an interval, got {domain}")
        self.domain = self.interval = domain

    def _ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithms of the shares below both ends, turned round where they lie right of m."""
        ends = self.interval.lower, self.interval.upper
        lower, upper = ((end - self.loc) / self.scale for end in ends)
        turn = torch.where(lower > 0, -1.0, 1.0).to(self.loc)
        low, high = torch.where(turn < 0, -upper, lower), torch.where(turn < 0, -lower, upper)
        # torch's ndtr is one plus erf, and nothing far out
        return torch.special.log_ndtr(low), torch.special.log_ndtr(high), turn

    def _log_density(self, x: Tensor) -> Tensor:
        z = (x - self.loc) / self.scale
        low, high, _ = self._ends()
        level = high + log1mexp(high - low) + torch.log(self.scale)
        return -0.5 * z.square() - level - 0.5 * math.log(2 * math.pi)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._icdf(self._uniform(n, generator), context)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        low, high, turn = self._ends()
        z = (x.clamp(self.interval.lower, self.interval.upper) - self.loc) / self.scale
        first = torch.exp(low - high)
        share = (torch.exp(torch.special.log_ndtr(turn * z) - high) - first) / (1 - first)
        return torch.where(turn < 0, 1 - share, share)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        low, high, turn = self._ends()
        share = torch.where(turn < 0, 1 - u, u)
        z = turn * torch.special.ndtri(low.exp() + share * (high.exp() - low.exp()))
        return (self.loc + self.scale * z).clamp(self.interval.lower, self.interval.upper)

    def _inner(self, x: Tensor) -> Tensor:
        return torch.full_like(x, max(self.interval.lower, min(self.interval.upper, 0.0)))
