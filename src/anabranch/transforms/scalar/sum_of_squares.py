"""Sums of squared polynomials."""

from dataclasses import dataclass
from functools import cached_property

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap
from anabranch.transforms.scalar.mixture_cdf import unlike_factors


@dataclass(frozen=True)
class SumOfSquares(NumericScalarMap):
    r"""The integral of a sum of squared polynomials: a polynomial that increases.

    .. math::
        z = c + \int_0^x \Big(\epsilon + (1 - \epsilon) \sum_{k=1}^K p_k(u)^2\Big)\, du, \qquad
        p_k(u) = \tfrac{1}{\sqrt K} + \sum_{l=0}^r a_{kl} u^l

    Every increasing polynomial of degree 2r + 1 has this form with two squares. The small
    :math:`\epsilon` keeps the slope away from zero. At parameters zero z = x.

    Args:
        polynomials: K.
        degree: r, of each polynomial.
        bound: the largest \|a\|.
        min_slope: :math:`\epsilon`.

    Raises:
        ValueError: for fewer than one polynomial or degree, a bound that is not positive, or a
            min_slope outside (0, 1).

    Source: Jaini, Selby, Yu (2019), "Sum-of-squares polynomial flow", arXiv:1905.02325, without
    the :math:`\epsilon`.

    Example:
        >>> cubic = SumOfSquares()
        >>> params = torch.linspace(-1, 1, cubic.n_params).unsqueeze(-1)
        >>> z, _ = cubic.encode(torch.tensor([0.5]), params)
        >>> cubic.decode(z, params)[0]
        tensor([0.5000])
    """

    polynomials: int = 2
    degree: int = 1
    bound: float = 2.0
    min_slope: float = 0.1

    def __post_init__(self) -> None:
        check_whole(self, ("polynomials", "degree"), 1)
        check_positive(self, ("bound",))
        check_share(self, ("min_slope",))

    @property
    def n_params(self) -> int:
        """Raw coefficients of the polynomials, and the shift c."""
        return self.polynomials * (self.degree + 1) + 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Integrate by Gauss's nodes: exact for this degree, and without cancellation."""
        coefficients, shift = self._parts(params)
        places, weights = self._nodes.to(params).view(2, -1, *[1] * (params.ndim - 1))
        slopes = self._slope(places * x, coefficients)
        return shift + x * (weights * slopes).sum(0), slopes[-1].log()

    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Zero, and the farthest point to which the least slope lets x go."""
        far = (z - params[-1]) / self.min_slope
        return far.clamp_max(0), far.clamp_min(0)

    @cached_property
    def _nodes(self) -> Tensor:
        """Places between 0 and 1 with their weights; last x itself, of weight zero."""
        places, weights = leggauss(self.degree + 1)
        return torch.tensor([[*(places + 1) / 2, 1.0], [*weights / 2, 0.0]], dtype=torch.float64)

    def _slope(self, u: Tensor, coefficients: Tensor) -> Tensor:
        value = coefficients[:, -1:]
        for power in reversed(range(self.degree)):
            value = value * u + coefficients[:, power : power + 1]
        squares = (self.polynomials**-0.5 + value).square()
        return self.min_slope + (1 - self.min_slope) * squares.sum(0)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        raw = params[:-1].unflatten(0, (self.polynomials, self.degree + 1))
        factors = unlike_factors(self.polynomials, raw)
        return bounded(raw * factors, self.bound, "softsign"), params[-1]
