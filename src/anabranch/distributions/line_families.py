"""Families of the line that are no normals: other tails, or skew."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.marginals import Marginals
from anabranch.distributions.family import Family, Value, searched_icdf
from anabranch.functional.shapes import Shape

FLATTENED = 60.0  # exp of more is beyond all use


class _LocationScale(Family, Marginals):
    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        loc: Value = 0.0,
        scale: Value = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        parameters = {"loc": loc, "scale": scale}
        super().__init__(event_shape, parameters, positive=("scale",), batch_shape=batch_shape)

    def _standard(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._icdf(self._uniform(n, generator), context)


class Laplace(_LocationScale):
    r"""The Laplace distribution, whose density falls as fast far out as it does near.

    .. math:: f(x) = \tfrac1{2s} e^{-|x - m| / s}

    Args:
        event_shape: D, or the shape of an image.
        loc: m, a number or a tensor that broadcasts to the event shape.
        scale: s, likewise, positive.
        batch_shape: the component axis.

    Raises:
        ValueError: for a scale that is not positive, or other shapes.

    Example:
        >>> Laplace(2).log_prob(torch.zeros(1, 2)).exp()
        tensor([0.2500])
    """

    def _log_density(self, x: Tensor) -> Tensor:
        return -self._standard(x).abs() - torch.log(2 * self.scale)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        z = self._standard(x)
        tail = 0.5 * torch.exp(-z.abs())
        return torch.where(z < 0, tail, 1 - tail)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        low = u < 0.5
        tail = torch.where(low, u, 1 - u)
        return self.loc + self.scale * torch.where(low, 1.0, -1.0).to(u) * torch.log(2 * tail)


class Cauchy(_LocationScale):
    r"""The Cauchy distribution, whose tails have no mean.

    .. math:: f(x) = \frac1{\pi s} \Bigl(1 + \frac{(x - m)^2}{s^2}\Bigr)^{-1}

    Args:
        event_shape: D, or the shape of an image.
        loc: m, the median, a number or a tensor that broadcasts to the event shape.
        scale: s, half the interquartile range, likewise, positive.
        batch_shape: the component axis.

    Raises:
        ValueError: for a scale that is not positive, or other shapes.

    Example:
        >>> Cauchy(1).log_prob(torch.zeros(1, 1)).exp()
        tensor([0.3183])
    """

    def _log_density(self, x: Tensor) -> Tensor:
        return -torch.log1p(self._standard(x).square()) - torch.log(math.pi * self.scale)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return 0.5 + torch.atan(self._standard(x)) / math.pi

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return self.loc + self.scale * torch.tan(math.pi * (u - 0.5))


class Gumbel(_LocationScale):
    r"""The Gumbel distribution, of largest values: skew to the right.

    .. math:: f(x) = \tfrac1s e^{-z - e^{-z}}, \qquad z = (x - m) / s

    Where :math:`e^{-z}` would be more than :math:`e^{60}`, it goes on in a straight line.

    Args:
        event_shape: D, or the shape of an image.
        loc: m, the mode, a number or a tensor that broadcasts to the event shape.
        scale: s, likewise, positive.
        batch_shape: the component axis.

    Raises:
        ValueError: for a scale that is not positive, or other shapes.

    Example:
        >>> Gumbel(1).log_prob(torch.zeros(1, 1))
        tensor([-1.])
    """

    def _log_density(self, x: Tensor) -> Tensor:
        z = self._standard(x)
        beyond = (-z - FLATTENED).clamp_min(0)
        return -z - torch.exp(-z.clamp_min(-FLATTENED)) * (1 + beyond) - torch.log(self.scale)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.exp(-torch.exp(-self._standard(x).clamp_min(-FLATTENED)))

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return self.loc - self.scale * torch.log(-torch.log(u))


class GeneralizedNormal(_LocationScale):
    r"""Tails between and beyond those of Laplace and normal, by their power.

    .. math:: f(x) = \frac{\beta}{2 s\, \Gamma(1/\beta)}\, e^{-(|x - m| / s)^\beta}

    A power of 1 is the Laplace distribution, 2 a normal of variance :math:`s^2/2`, and a high one
    nearly uniform.

    Args:
        event_shape: D, or the shape of an image.
        power: :math:`\beta`, at least 1.
        loc: m, a number or a tensor that broadcasts to the event shape.
        scale: s, likewise, positive.
        batch_shape: the component axis.

    Raises:
        ValueError: for a power below 1, a scale that is not positive, or other shapes.

    Source: Nadarajah (2005), "A generalized normal distribution", Journal of Applied Statistics 32.

    Example:
        >>> GeneralizedNormal(1, power=1.0).log_prob(torch.zeros(1, 1)).exp()
        tensor([0.5000])
    """

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        power: float = 2.0,
        loc: Value = 0.0,
        scale: Value = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, loc=loc, scale=scale, batch_shape=batch_shape)
        if not 1 <= power < math.inf:
            raise ValueError(f"power must be at least 1, got {power}")
        self.power = power

    def _log_density(self, x: Tensor) -> Tensor:
        level = math.log(self.power / 2) - math.lgamma(1 / self.power)
        return level - torch.log(self.scale) - self._standard(x).abs().pow(self.power)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        share = torch.full_like(self.scale, 1 / self.power)
        size = self._gamma(share, n, generator).pow(1 / self.power)
        sign = torch.where(self._uniform(n, generator) < 0.5, 1.0, -1.0).to(size)
        return self.loc + self.scale * sign * size

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        z = self._standard(x)
        share = torch.full_like(z, 1 / self.power)
        return 0.5 + 0.5 * z.sign() * torch.special.gammainc(share, z.abs().pow(self.power))

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return searched_icdf(self, u, self.loc)
