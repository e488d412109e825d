"""Maps of the circle: an increasing map of one turn onto itself, then a rotation."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anabranch.contracts.domain import CIRCLE, Domain
from anabranch.functional.neural_splines import SplineLaw, neural_spline, neural_spline_inverse
from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.scales import bounded
from anabranch.transforms.scalar.base import ScalarMap
from anabranch.transforms.scalar.mixture_cdf import unlike_factors

TURN = 2 * math.pi
Pair = tuple[Tensor, Tensor]
Curve = Callable[[Tensor], Pair]


@dataclass(frozen=True)
class CircleMap(ScalarMap):
    r"""A map of the circle onto itself that keeps its direction.

    .. math:: z = f(x) + \phi \bmod 2\pi, \qquad f(0) = 0, \quad f(2\pi) = 2\pi, \quad f' > 0,
        \quad f'(0) = f'(2\pi)

    so that densities are continuous where the circle is cut open. A subclass gives f. The angle
    :math:`\phi` is the last parameter.
    """

    domain: ClassVar[Domain] = CIRCLE

    @property
    def n_params(self) -> int:
        """Those of f, and the angle."""
        return self.n_shape + 1

    @property
    @abstractmethod
    def n_shape(self) -> int:
        """How many parameters f has."""

    @abstractmethod
    def curve(self, params: Tensor) -> Curve:
        """The function f of these parameters, from x to f(x) and log f'(x)."""

    def fall(self, z: Tensor, params: Tensor) -> Pair:
        """Undo f: search in double precision, with exact gradients."""
        target = z.double().expand(torch.broadcast_shapes(z.shape, params.shape[1:]))
        fixed, moving = (self.curve(p) for p in (params.detach().double(), params.double()))
        root = find_root(lambda x: fixed(x)[0], target, lower=0.0, upper=TURN)
        log_slope = moving(root)[1]
        x = implicit(lambda x: moving(x)[0], root, target, log_slope.exp())
        log_slope = moving(x)[1]
        return x.to(z.dtype), -log_slope.to(z.dtype)

    def encode(self, x: Tensor, params: Tensor) -> Pair:
        """Apply f and turn."""
        z, log_slope = self.curve(params[:-1])(x)
        return torch.remainder(z + params[-1], TURN), log_slope

    def decode(self, z: Tensor, params: Tensor) -> Pair:
        """Turn back and undo f."""
        x, log_slope = self.fall(torch.remainder(z - params[-1], TURN), params[:-1])
        return torch.remainder(x, TURN), log_slope


@dataclass(frozen=True)
class Moebius(CircleMap):
    r"""A convex combination of Möbius maps of the circle, then a rotation.

    .. math:: z = \sum_k \rho_k h_k(x) + \phi \bmod 2\pi, \qquad
        \frac{dz}{dx} = \sum_k \rho_k \frac{1 - |w_k|^2}{|e^{ix} - w_k|^2}

    Each :math:`h_k` carries the circle onto itself, gathers it around the direction of
    :math:`w_k`, |w| < 1, and is turned so that it keeps the angle 0. One of them alone makes of the
    uniform distribution a wrapped Cauchy distribution. ``decode`` searches the angle.

    Args:
        components: K.
        bound: the largest |w|.

    Raises:
        ValueError: for fewer than one component, or a bound outside of (0, 1).

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Example:
        >>> moebius = Moebius(components=2)
        >>> params = torch.linspace(-1, 1, moebius.n_params).unsqueeze(-1)
        >>> z, _ = moebius.encode(torch.tensor([3.0]), params)
        >>> moebius.decode(z, params)[0].round(decimals=4)
        tensor([3.])
    """

    components: int = 4
    bound: float = 0.99

    def __post_init__(self) -> None:
        check_whole(self, ("components",), 1)
        check_share(self, ("bound",))

    @property
    def n_shape(self) -> int:
        """The raw weights and both coordinates of w of the components."""
        return 3 * self.components

    def curve(self, params: Tensor) -> Curve:
        """The combination."""
        raw, u, v = params.split(self.components)
        weights = torch.softmax(raw, 0)
        u, v = _apart(u), _apart(v)
        shrink = self.bound / torch.sqrt(1 + u.square() + v.square())
        u, v = u * shrink, v * shrink
        start, gain = torch.atan2(v, 1 - u), 1 - u.square() - v.square()

        def rise(x: Tensor) -> Pair:
            # arg h(x) = x - 2 arg(1 - conj(w) e^{ix}), less its value at 0; |w| < 1, no branch cut
            cos, sin = torch.cos(x), torch.sin(x)
            real, imaginary = 1 - u * cos - v * sin, v * cos - u * sin
            lag = torch.atan2(imaginary, real) - start
            slope = gain / (real.square() + imaginary.square())
            return x - (weights * 2 * lag).sum(0), (weights * slope).sum(0).log()

        return rise


@dataclass(frozen=True)
class NonCompactProjection(CircleMap):
    r"""A convex combination of affine maps of the line, seen from the circle, then a rotation.

    .. math:: f(x) = \sum_k \rho_k \Bigl(2 \arctan\bigl(a_k \tan(\tfrac x2 - \tfrac\pi2) + b_k\bigr)
        + \pi\Bigr), \qquad f_k'(x) = \frac{a_k}
        {(a_k \cos\frac x2 - b_k \sin\frac x2)^2 + \sin^2\frac x2}

    The point opposite to 0 is where the line has its zero; 0 itself is its infinity.

    Args:
        components: K.
        log_bound: the largest \|log a\|.
        bound: the largest \|b\|.

    Raises:
        ValueError: for fewer than one component, or bounds that are not positive.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Example:
        >>> projection = NonCompactProjection()
        >>> params = torch.tensor([0.0, 0.0, 1.0, 0.5]).unsqueeze(-1)  # b = 1 / (1 + 1 / 20)
        >>> projection.encode(torch.tensor([math.pi]), params)[0]  # 2 atan(b) + pi + .5
        tensor([5.1636])
    """

    components: int = 1
    log_bound: float = 4.0
    bound: float = 20.0

    def __post_init__(self) -> None:
        check_whole(self, ("components",), 1)
        check_positive(self, ("log_bound", "bound"))

    @property
    def n_shape(self) -> int:
        """The raw weights, log a and b of the components."""
        return 3 * self.components

    def curve(self, params: Tensor) -> Curve:
        """The combination."""
        raw, log_a, b = params.split(self.components)
        weights = torch.softmax(raw, 0)
        a = bounded(_apart(log_a), self.log_bound, "softsign").exp()
        b = bounded(_apart(b), self.bound, "softsign")

        def rise(x: Tensor) -> Pair:
            cos, sin = torch.cos(x / 2), torch.sin(x / 2)
            shifted = b * sin - a * cos
            z = 2 * torch.atan2(shifted, sin) + math.pi
            slope = a / (shifted.square() + sin.square())
            return (weights * z).sum(0), (weights * slope).sum(0).log()

        return rise


@dataclass(frozen=True)
class CircularSpline(CircleMap):
    r"""A monotone rational-quadratic spline of the circle, then a rotation.

    One of `RationalQuadratic` on :math:`[0, 2\pi]` with one slope at both ends. Its inverse has a
    closed form, and the density it makes is continuous, with bends at the knots.

    Args:
        bins: K.
        min_width: smallest width of a bin, as a share of the turn; limits the largest slope.
        min_height: smallest height of a bin, as a share of the turn; limits the smallest slope.
        ratio: how far the slope at a knot may be from the mean of its secants.

    Raises:
        ValueError: for fewer than two bins, or floors that leave nothing.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428;
    Durkan et al. (2019), arXiv:1906.04032.

    Example:
        >>> spline = CircularSpline(bins=4)
        >>> x, params = torch.tensor([1.0]), torch.ones(spline.n_params, 1)
        >>> spline.decode(spline.encode(x, params)[0], params)[0]
        tensor([1.])
    """

    bins: int = 8
    min_width: float = 0.005
    min_height: float = 0.005
    ratio: float = 20.0

    def __post_init__(self) -> None:
        check_whole(self, ("bins",), 2)
        check_positive(self, ("min_width", "min_height"))
        if self.bins * max(self.min_width, self.min_height) >= 1:
            raise ValueError(
                f"bins must leave room above their floors, got {self.bins} bins "
                f"of widths {self.min_width} and heights {self.min_height}"
            )
        if not self.ratio > 1:
            raise ValueError(f"ratio must be greater than 1, got {self.ratio}")

    @property
    def law(self) -> SplineLaw:
        """The settings, for `anabranch.functional.neural_splines`."""
        return SplineLaw(
            self.bins, math.pi, self.min_width, self.min_height, self.ratio, "periodic"
        )

    @property
    def n_shape(self) -> int:
        """Raw widths, heights and slopes."""
        return self.law.n_params

    def curve(self, params: Tensor) -> Curve:
        """The spline."""
        return lambda x: self._moved(neural_spline, x, params)

    def fall(self, z: Tensor, params: Tensor) -> Pair:
        """Its inverse, in closed form."""
        return self._moved(neural_spline_inverse, z, params)

    def _moved(
        self, spline: Callable[[Tensor, Tensor, SplineLaw], Pair], x: Tensor, params: Tensor
    ) -> Pair:
        y, log_slope = spline(x - math.pi, params, self.law)
        return y + math.pi, log_slope


@dataclass(frozen=True)
class ConvexCombination(CircleMap):
    r"""A weighted mean of unlike maps of the circle, then a rotation.

    .. math:: f(x) = \sum_k \rho_k f_k(x)

    It is a map of the circle again; its inverse is found by search.

    Args:
        maps: at least one.

    Raises:
        ValueError: for none.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Example:
        >>> both = ConvexCombination((Moebius(2), CircularSpline(4)))
        >>> both.n_params
        21
    """

    maps: tuple[CircleMap, ...] = (Moebius(), CircularSpline())

    def __post_init__(self) -> None:
        if not self.maps:
            raise ValueError("maps must hold at least one, got none")

    @property
    def n_shape(self) -> int:
        """The raw weights, and those of the maps."""
        return len(self.maps) + sum(part.n_shape for part in self.maps)

    def curve(self, params: Tensor) -> Curve:
        """The weighted mean."""
        raw, *parts = params.split([len(self.maps), *(part.n_shape for part in self.maps)])
        weights = torch.softmax(raw, 0)
        curves = [m.curve(p) for m, p in zip(self.maps, parts, strict=True)]

        def rise(x: Tensor) -> Pair:
            values, log_slopes = zip(*(curve(x) for curve in curves), strict=True)
            slope = (weights * torch.stack(log_slopes).exp()).sum(0)
            return (weights * torch.stack(values)).sum(0), slope.log()

        return rise


def _apart(raw: Tensor) -> Tensor:
    """Raw numbers of components, (K, ...), that do not stay equal because they start equal."""
    return raw if len(raw) == 1 else unlike_factors(len(raw), raw) * raw
