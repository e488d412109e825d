"""Bernstein polynomials."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap


@dataclass(frozen=True)
class Bernstein(NumericScalarMap):
    r"""An increasing Bernstein polynomial on :math:`[-B, B]`, continued by lines.

    .. math:: z = \sum_{k=0}^{n} \theta_k \tbinom nk t^k (1 - t)^{n - k}, \qquad
        t = \frac{x + B}{2B}, \quad \theta_0 = -B, \quad \theta_n = B

    It increases because its coefficients do: their steps are a floor plus a softmax. Smooth to any
    order inside, and once at the ends of the box.

    Args:
        degree: n.
        bound: B, half the side of the box.
        min_step: the smallest step between coefficients, as a share of an even one; the floor of
            the slope.

    Raises:
        ValueError: for a degree below 2, a bound that is not positive, or a min_step outside
            (0, 1).

    Source: Sick, Hothorn, Dürr (2020), "Deep transformation models", arXiv:2004.00464; Ramasinghe
    et al. (2021), "Robust normalizing flows using Bernstein-type polynomials", arXiv:2102.03509.

    Example:
        >>> bernstein = Bernstein(degree=5)
        >>> params = torch.linspace(-1, 1, bernstein.n_params).unsqueeze(-1)
        >>> z, _ = bernstein.encode(torch.tensor([0.5]), params)
        >>> bernstein.decode(z, params)[0]
        tensor([0.5000])
    """

    degree: int = 8
    bound: float = 5.0
    min_step: float = 0.05

    def __post_init__(self) -> None:
        check_whole(self, ("degree",), 2)
        check_positive(self, ("bound",))
        check_share(self, ("min_step",))

    @property
    def n_params(self) -> int:
        """Raw steps between coefficients."""
        return self.degree

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the basis inside the box, and go on as a line outside."""
        steps = self._steps(params)
        inner = x.clamp(-self.bound, self.bound)
        t = (inner + self.bound) / (2 * self.bound)
        t = t.expand(torch.broadcast_shapes(t.shape, params.shape[1:]))
        slope = (self._basis(t, self.degree - 1) * steps).sum(0) * self.degree
        levels = steps.cumsum(0)
        shares = (self._basis(t, self.degree)[1:] * levels).sum(0)
        z = self.bound * (2 * shares - 1)
        return z + (x - inner) * slope, slope.log()

    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The box; outside of it, as far as the least slope lets x go."""
        far = (z.abs() - self.bound).clamp_min(0) / self.min_step
        return -self.bound - far, self.bound + far

    def _steps(self, params: Tensor) -> Tensor:
        """Steps of the coefficients as shares of the box, (n, ...)."""
        return self.min_step / self.degree + (1 - self.min_step) * torch.softmax(params, 0)

    def _basis(self, t: Tensor, degree: int) -> Tensor:
        """The polynomials of a degree at t, (degree + 1, ...)."""
        ones = [1] * t.ndim
        powers, binomials = (row[: degree + 1].to(t) for row in self._tables[degree == self.degree])
        powers, binomials = powers.view(-1, *ones), binomials.view(-1, *ones)
        return binomials * t**powers * (1 - t) ** (degree - powers)

    @cached_property
    def _tables(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Exponents and binomial coefficients of degrees n - 1 and n."""

        def table(degree: int) -> tuple[Tensor, Tensor]:
            binomials = [math.comb(degree, k) for k in range(degree + 1)]
            return torch.arange(degree + 1), torch.tensor(binomials, dtype=torch.float64)

        return table(self.degree - 1), table(self.degree)
