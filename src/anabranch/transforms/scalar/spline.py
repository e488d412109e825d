"""Rational-quadratic splines."""

from dataclasses import dataclass

from torch import Tensor

from anabranch.functional.neural_splines import (
    SplineLaw,
    neural_spline,
    neural_spline_inverse,
    spline_knots,
)
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.transforms.scalar.base import ScalarMap

ENDS = ("linear", "free", "linear-below", "linear-above")


@dataclass(frozen=True)
class RationalQuadratic(ScalarMap):
    r"""A monotone rational-quadratic spline on :math:`[-B, B]`, continued by lines.

    Widths and heights of the bins are floors plus softmaxes. The slope at a knot is
    :math:`h\, e^{r}`, where h is the harmonic mean of the secants beside it and r is softly clipped
    to ±log ``ratio``; papers take slopes that know nothing of the secants, and then a flat bin
    between steep knots cannot be inverted in single precision. Here no slope inside the box falls
    below about ``min_height`` / (2 ``ratio``) with free ends, or 4 ``min_height``:sup:`2` in the
    bins beside fixed ends, whatever the parameters.

    Args:
        bins: K.
        bound: B, half the side of the box.
        ends: "linear" for slopes of one at both ends and the identity outside, or "free" for
            slopes of their own, with which the lines outside go on; "linear-below" or
            "linear-above" is linear at this end and free at the other.
        min_width: smallest width of a bin, as a share of the box; limits the largest slope.
        min_height: smallest height of a bin, as a share of the box; limits the smallest slope.
        ratio: how far the slope at a knot may be from the mean of its secants.

    Raises:
        ValueError: for fewer than two bins, floors that leave nothing, or other values.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), "Neural spline flows", arXiv:1906.04032;
    Gregory, Delbourgo (1982).

    Example:
        >>> import torch
        >>> spline = RationalQuadratic(bins=4, bound=3.0)
        >>> z, log_slope = spline.encode(torch.tensor([9.0]), torch.randn(spline.n_params, 1))
        >>> z, log_slope
        (tensor([9.]), tensor([0.]))
    """

    bins: int = 8
    bound: float = 5.0
    ends: str = "linear"
    min_width: float = 0.005
    min_height: float = 0.02
    ratio: float = 5.0

    def __post_init__(self) -> None:
        check_whole(self, ("bins",), 2)
        check_positive(self, ("bound", "min_width", "min_height"))
        if self.ends not in ENDS:
            raise ValueError(f"ends must be one of {ENDS}, got {self.ends!r}")
        if not self.ratio > 1:
            raise ValueError(f"ratio must be greater than 1, got {self.ratio}")
        for name in ("min_width", "min_height"):
            if not getattr(self, name) * self.bins < 1:
                raise ValueError(
                    f"{self.bins} bins of {name} {getattr(self, name)} do not fit in a box of 1"
                )

    @property
    def law(self) -> SplineLaw:
        """The settings, for `anabranch.functional.neural_splines`."""
        return SplineLaw(
            self.bins, self.bound, self.min_width, self.min_height, self.ratio, self.ends
        )

    @property
    def n_params(self) -> int:
        """Raw widths, raw heights, and raw slopes: K - 1 of them, and one for each free end."""
        return self.law.n_params

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the spline."""
        return neural_spline(x, params, self.law)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate its inverse, in closed form."""
        return neural_spline_inverse(z, params, self.law)

    def knots(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Abscissas, ordinates and slopes of the K + 1 knots, each (K + 1, ...)."""
        return spline_knots(params, self.law)
