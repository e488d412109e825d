"""Piecewise linear, quadratic and cubic splines, and splines on any interval."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap, ScalarMap
from anabranch.transforms.scalar.spline import RationalQuadratic

Pair = tuple[Tensor, Tensor]

LARGEST = 4.0  # of a raw logarithm of a density, softly clipped
# slopes of a cubic at its knots over the harmonic mean of the secants beside it: below 1.5, where
# Fritsch and Carlson's square ends, with a margin
LEAST, MOST = 0.2, 1.25


@dataclass(frozen=True)
class LinearSpline(ScalarMap):
    r"""A broken line on :math:`[-B, B]`; the identity outside.

    Its density is a histogram: cheap, and with jumps at the bins.

    Args:
        bins: K.
        bound: B, half the side of the box.
        min_width: smallest width of a bin, as a share of an even one.
        min_height: smallest height of a bin, as a share of an even one.

    Raises:
        ValueError: for fewer than two bins, a bound that is not positive, or shares outside (0, 1).

    Source: Müller et al. (2019), "Neural importance sampling", arXiv:1808.03856, there with bins of
    equal width.

    Example:
        >>> line = LinearSpline(bins=4)
        >>> params = torch.linspace(-1, 1, line.n_params).unsqueeze(-1)
        >>> z, _ = line.encode(torch.tensor([0.5]), params)
        >>> line.decode(z, params)[0]
        tensor([0.5000])
    """

    bins: int = 8
    bound: float = 5.0
    min_width: float = 0.1
    min_height: float = 0.1

    def __post_init__(self) -> None:
        check_whole(self, ("bins",), 2)
        check_positive(self, ("bound",))
        check_share(self, ("min_width", "min_height"))

    @property
    def n_params(self) -> int:
        """Raw widths and raw heights."""
        return 2 * self.bins

    def encode(self, x: Tensor, params: Tensor) -> Pair:
        """Follow the line of the bin."""
        return self._follow(x, *self._sides(x, params))

    def decode(self, z: Tensor, params: Tensor) -> Pair:
        """Follow it back: the line of the other axis."""
        widths, heights = self._sides(z, params)
        return self._follow(z, heights, widths)

    def _follow(self, x: Tensor, along: Tensor, across: Tensor) -> Pair:
        """The line whose bins have these sides along the axis of x, and across it."""
        unit = (x.expand(along.shape[1:]) / self.bound + 1) / 2
        starts = _sums(along)
        index = (unit >= starts[1:-1]).sum(0)
        parts = (starts, along, _sums(across), across)
        x0, width, y0, height = (_at(values, index) for values in parts)
        y = self.bound * (2 * (y0 + (unit - x0) / width * height) - 1)
        inside = x.abs() < self.bound
        return torch.where(inside, y, x), torch.where(inside, (height / width).log(), 0.0)

    def _sides(self, x: Tensor, params: Tensor) -> Pair:
        """Widths and heights of the bins as shares of the box, each (K, ...)."""
        widths, heights = (
            floor / self.bins + (1 - floor) * raw.softmax(0)
            for floor, raw in zip(
                (self.min_width, self.min_height), _spread(params, x).split(self.bins), strict=True
            )
        )
        return widths, heights


@dataclass(frozen=True)
class QuadraticSpline(ScalarMap):
    r"""The integral of a broken line on :math:`[-B, B]`, continued by lines at its end slopes.

    .. math:: z = y_k + w_k \left(v_k t + \tfrac12 (v_{k+1} - v_k)\, t^2\right), \qquad
        t = (x - x_k) / w_k

    with slopes v at the knots, scaled so that the box is mapped on itself. Its density is
    continuous.

    Args:
        bins: K.
        bound: B, half the side of the box.
        min_width: smallest width of a bin, as a share of an even one.
        min_slope: the least slope, between 0 and 1.

    Raises:
        ValueError: for fewer than two bins, a bound that is not positive, or shares outside (0, 1).

    Source: Müller et al. (2019), "Neural importance sampling", arXiv:1808.03856.

    Example:
        >>> spline = QuadraticSpline(bins=4)
        >>> params = torch.linspace(-1, 1, spline.n_params).unsqueeze(-1)
        >>> z, _ = spline.encode(torch.tensor([0.5]), params)
        >>> spline.decode(z, params)[0]
        tensor([0.5000])
    """

    bins: int = 8
    bound: float = 5.0
    min_width: float = 0.1
    min_slope: float = 0.1

    def __post_init__(self) -> None:
        check_whole(self, ("bins",), 2)
        check_positive(self, ("bound",))
        check_share(self, ("min_width", "min_slope"))

    @property
    def n_params(self) -> int:
        """Raw widths, and raw slopes at the knots."""
        return 2 * self.bins + 1

    def encode(self, x: Tensor, params: Tensor) -> Pair:
        """Integrate up to x."""
        widths, slopes, heights = self._parts(x, params)
        edges, levels = _sums(widths), _sums(heights)
        inner = x.clamp(-self.bound, self.bound)
        unit = (inner / self.bound + 1) / 2
        index = (unit >= edges[1:-1]).sum(0)
        x0, width, y0, start = (_at(v, index) for v in (edges, widths, levels, slopes))
        change = _at(slopes, index + 1) - start
        t = ((unit - x0) / width).clamp(0.0, 1.0)
        slope = torch.where(x == inner, start + change * t, _end(x, slopes))
        z = self.bound * (2 * (y0 + width * t * (start + change * t / 2)) - 1)
        return z + (x - inner) * slope, slope.log()

    def decode(self, z: Tensor, params: Tensor) -> Pair:
        """Solve the quadratic of the bin, in the form in which nothing cancels."""
        widths, slopes, heights = self._parts(z, params)
        edges, levels = _sums(widths), _sums(heights)
        inner = z.clamp(-self.bound, self.bound)
        unit = (inner / self.bound + 1) / 2
        index = (unit >= levels[1:-1]).sum(0)
        x0, width, y0, start = (_at(v, index) for v in (edges, widths, levels, slopes))
        change = _at(slopes, index + 1) - start
        rest = ((unit - y0) / width).clamp_min(0.0)
        lowest = torch.minimum(start, start + change).square()
        root = torch.sqrt(torch.maximum(start.square() + 2 * change * rest, lowest))
        t = (2 * rest / (start + root)).clamp(0.0, 1.0)
        slope = torch.where(z == inner, start + change * t, _end(z, slopes))
        x = self.bound * (2 * (x0 + width * t) - 1)
        return x + (z - inner) / slope, -slope.log()

    def _parts(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Widths (K, ...), slopes (K + 1, ...) and heights (K, ...), all in units of the box."""
        params = _spread(params, x)
        widths = self.min_width / self.bins + (1 - self.min_width) * params[: self.bins].softmax(0)
        raw = params[self.bins :]
        free = torch.exp(raw / (1 + raw.abs() / LARGEST))
        area = (widths * (free[1:] + free[:-1]) / 2).sum(0)
        slopes = self.min_slope + (1 - self.min_slope) * free / area
        return widths, slopes, widths * (slopes[1:] + slopes[:-1]) / 2


@dataclass(frozen=True)
class CubicSpline(NumericScalarMap):
    r"""A monotone piecewise cubic on :math:`[-B, B]`, continued at its end slopes.

    Hermite's cubics between knots; the slope at a knot is a multiple between .2 and 1.25 of the
    harmonic mean of the secants beside it, which keeps every piece increasing (Fritsch, Carlson
    1980). Its density is smooth but at the knots, where it bends.

    Args:
        bins: K.
        bound: B, half the side of the box.
        min_width: smallest width of a bin, as a share of the box.
        min_height: smallest height of a bin, as a share of the box.

    Raises:
        ValueError: for fewer than two bins, or floors that are not positive or leave nothing.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), "Cubic-spline flows", arXiv:1906.02145,
    with other slopes; Fritsch, Carlson (1980), "Monotone piecewise cubic interpolation".

    Example:
        >>> spline = CubicSpline(bins=4)
        >>> params = torch.linspace(-1, 1, spline.n_params).unsqueeze(-1)
        >>> z, _ = spline.encode(torch.tensor([0.5]), params)
        >>> spline.decode(z, params)[0]
        tensor([0.5000])
    """

    bins: int = 8
    bound: float = 5.0
    min_width: float = 0.01
    min_height: float = 0.02

    def __post_init__(self) -> None:
        check_whole(self, ("bins",), 2)
        check_positive(self, ("bound", "min_width", "min_height"))
        for name in ("min_width", "min_height"):
            if not getattr(self, name) * self.bins < 1:
                raise ValueError(
                    f"{self.bins} bins of {name} {getattr(self, name)} do not fit in a box of 1"
                )

    @property
    def n_params(self) -> int:
        """Raw widths, raw heights, and raw slopes at the knots."""
        return 3 * self.bins + 1

    def encode(self, x: Tensor, params: Tensor) -> Pair:
        """Evaluate the cubic of the bin."""
        params = _spread(params, x)
        widths, heights = (
            floor + (1 - self.bins * floor) * raw.softmax(0)
            for floor, raw in zip(
                (self.min_width, self.min_height), params.split(self.bins)[:2], strict=True
            )
        )
        secants = heights / widths
        beside = torch.cat((secants[:1], secants, secants[-1:]))
        left, right = beside[:-1], beside[1:]
        share = torch.sigmoid(params[2 * self.bins :] + math.log((1 - LEAST) / (MOST - 1)))
        slopes = (LEAST + (MOST - LEAST) * share) * 2 * left * right / (left + right)
        inner = x.clamp(-self.bound, self.bound)
        unit = (inner / self.bound + 1) / 2
        edges = _sums(widths)
        index = (unit >= edges[1:-1]).sum(0)
        parts = (edges, widths, _sums(heights), secants, slopes)
        x0, width, y0, secant, start = (_at(values, index) for values in parts)
        end = _at(slopes, index + 1)
        t = ((unit - x0) / width).clamp(0.0, 1.0)
        rest = 1 - t
        rise = t * rest * (rest * start - t * end) + t * t * (3 - 2 * t) * secant
        z = self.bound * (2 * (y0 + width * rise) - 1)
        inner_slope = start * rest * (1 - 3 * t) + end * t * (3 * t - 2) + 6 * t * rest * secant
        slope = torch.where(x == inner, inner_slope, _end(x, slopes))
        return z + (x - inner) * slope, slope.log()

    def bracket(self, z: Tensor, params: Tensor) -> Pair:
        """The box; outside of it, as far as the least end slope lets x go."""
        far = (z.abs() - self.bound).clamp_min(0) / (LEAST * self.min_height)
        return -self.bound - far, self.bound + far


@dataclass(frozen=True)
class OnInterval(ScalarMap):
    r"""A spline whose box is any interval, [lower, upper], in place of one around zero.

    .. math:: z = m + \tfrac rB f\big((x - m) \tfrac Br\big), \qquad
        m = \tfrac{\mathrm{lower} + \mathrm{upper}}2, \quad r = \tfrac{\mathrm{upper} -
        \mathrm{lower}}2

    Args:
        spline: f, with its ``bound`` B.
        lower: where the box begins.
        upper: where it ends.

    Raises:
        ValueError: for ends that are not finite, or not in this order.

    Example:
        >>> box = OnInterval(LinearSpline(bins=4), 0.0, 10.0)
        >>> box.encode(torch.tensor([10.0, 12.0]), torch.zeros(box.n_params, 1))[0]
        tensor([10., 12.])
    """

    spline: RationalQuadratic | LinearSpline | QuadraticSpline | CubicSpline = field(
        default_factory=RationalQuadratic
    )
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        if not -math.inf < self.lower < self.upper < math.inf:
            raise ValueError(
                f"lower and upper must be finite and in this order, got {self.lower} and "
                f"{self.upper}"
            )

    @property
    def n_params(self) -> int:
        """Those of the spline."""
        return self.spline.n_params

    def encode(self, x: Tensor, params: Tensor) -> Pair:
        """Evaluate the spline in its own units."""
        middle, unit = self._units
        z, log_slope = self.spline.encode((x - middle) / unit, params)
        return middle + unit * z, log_slope

    def decode(self, z: Tensor, params: Tensor) -> Pair:
        """Evaluate its inverse there."""
        middle, unit = self._units
        x, log_slope = self.spline.decode((z - middle) / unit, params)
        return middle + unit * x, log_slope

    @property
    def _units(self) -> tuple[float, float]:
        """The middle of the interval, and what one is to the spline."""
        return (self.lower + self.upper) / 2, (self.upper - self.lower) / (2 * self.spline.bound)


def _spread(params: Tensor, x: Tensor) -> Tensor:
    """Parameters of each number of x."""
    shape = torch.broadcast_shapes(x.shape, params.shape[1:])
    return params.expand(len(params), *shape)


def _sums(shares: Tensor) -> Tensor:
    """Zero, and the sums up to each, on the leading axis."""
    return pad(shares.cumsum(0).movedim(0, -1), (1, 0)).movedim(-1, 0)


def _end(x: Tensor, slopes: Tensor) -> Tensor:
    """The slope at the end of the box on the side of x, (...), of those at its knots."""
    return torch.where(x < 0, slopes[0], slopes[-1])


def _at(values: Tensor, index: Tensor) -> Tensor:
    """Of each number's values on the leading axis the one that it needs."""
    return values.gather(0, index.unsqueeze(0)).squeeze(0)
