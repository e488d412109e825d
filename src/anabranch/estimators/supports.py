"""Where columns live: what a user says of their supports, checked, and made a transform."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.data.column_kinds import column_place
from anabranch.transforms import Support

Array = NDArray[np.float64]

NAMED = {"positive": (0.0, math.inf), "unit": (0.0, 1.0)}
EXPECTED = (
    "'positive', 'unit', (lower, upper) with None for no bound, 'angle', ('circle', period), "
    "{'period': number}, or ('latlon', latitude column, longitude column)"
)


@dataclass(frozen=True)
class Bounds:
    """The supports of all columns.

    Attributes:
        lower: (D,), minus infinity for none.
        upper: (D,), infinity for none.
        periodic: (D,) whether a column is a circle of circumference upper - lower.
        places: pairs of columns, latitude and longitude in degrees, that are places on the earth.
    """

    lower: Array
    upper: Array
    periodic: NDArray[np.bool_]
    places: tuple[tuple[int, int], ...] = ()

    def of_column(self, j: int) -> tuple[float, float]:
        """The bounds of one column."""
        return float(self.lower[j]), float(self.upper[j])

    def range_of(self, j: int) -> tuple[float, float]:
        """Where the values of one column can lie; on a circle, up to a turn either way."""
        if j in sum(self.places, ()):
            most = 90.0 if j in [latitude for latitude, _ in self.places] else 360.0
            return -most, most
        lower, upper = self.of_column(j)
        return (lower - upper, upper - lower) if self.periodic[j] else (lower, upper)

    @classmethod
    def of(cls, support: Support) -> "Bounds":
        """Those of a transform."""
        return cls(support.lower.numpy(), support.upper.numpy(), support.periodic.numpy())


def read_supports(support: object, columns: Sequence[str]) -> Bounds | None:
    """Understand the parameter ``support`` of an estimator; None where it says nothing.

    Args:
        support: a dict from names or numbers of columns to their supports, or None.
        columns: the names of all columns.

    Raises:
        ValueError: for an unknown column or support, or one column given twice.

    Example:
        >>> read_supports({"a": "positive", 1: (None, 3)}, ["a", "b"]).upper
        array([inf,  3.])
    """
    if support is None:
        return None
    if not isinstance(support, dict):
        raise ValueError(f"support must be a dict from columns to supports, got {support!r}")
    lower, upper = np.full(len(columns), -np.inf), np.full(len(columns), np.inf)
    periodic, given = np.zeros(len(columns), bool), np.zeros(len(columns), bool)
    places: list[tuple[int, int]] = []
    for key, spec in support.items():
        pair = _latlon(spec, columns)
        for j in [column_place(key, columns, "support")] if pair is None else pair:
            if given[j]:
                raise ValueError(f"support names column {columns[j]!r} twice")
            given[j] = True
            if pair is None:
                lower[j], upper[j], periodic[j] = _bounds(key, spec)
        places += [] if pair is None else [pair]
    return Bounds(lower, upper, periodic, tuple(places))


def _latlon(spec: object, columns: Sequence[str]) -> tuple[int, int] | None:
    """The columns of a place on the earth, where it is one."""
    if not (isinstance(spec, list | tuple) and len(spec) == 3 and spec[0] == "latlon"):
        return None
    latitude, longitude = (column_place(name, columns, "support") for name in spec[1:])
    return latitude, longitude


def _bounds(key: object, spec: object) -> tuple[float, float, bool]:
    if isinstance(spec, str) and spec in NAMED:
        return (*NAMED[spec], False)
    if isinstance(spec, str) and spec == "angle":
        return 0.0, 2 * math.pi, True
    if isinstance(spec, list | tuple) and len(spec) == 2 and spec[0] == "circle":
        spec = {"period": spec[1]}
    if isinstance(spec, dict) and list(spec) == ["period"]:
        period = spec["period"]
        if _is_number(period) and 0 < period < math.inf:
            return 0.0, float(period), True
    if isinstance(spec, list | tuple) and len(spec) == 2:
        lower, upper = spec
        if all(bound is None or _is_number(bound) for bound in spec):
            lower = -math.inf if lower is None else float(lower)
            upper = math.inf if upper is None else float(upper)
            if lower < upper:
                return lower, upper, False
    raise ValueError(f"the support of column {key!r} must be {EXPECTED}, got {spec!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)


def check_supports(X: Array, bounds: Bounds, columns: Sequence[str]) -> None:
    """Refuse values outside a support, on a bound, or more than a turn from the origin of a circle.

    Raises:
        ValueError: naming the columns, how many values, and one of them.

    Example:
        >>> bounds = read_supports({"a": "positive"}, ["a"])
        >>> check_supports(np.array([[0.0], [-2.0], [1.0]]), bounds, ["a"])
        Traceback (most recent call last):
        ValueError: column 'a' must lie above 0: 2 of 3 values do not, such as 0; ...
    """
    bad = ((bounds.lower >= X) | (bounds.upper <= X)) & ~bounds.periodic
    if not bad.any():
        _check_turns(X, bounds, columns)
        return
    named = []
    for j in np.flatnonzero(bad.any(0))[:5]:
        wrong = X[bad[:, j], j]
        named.append(
            f"column {columns[j]!r} must lie {_range(*bounds.of_column(j))}: "
            f"{len(wrong)} of {len(X)} values do not, such as {wrong[0]:g}"
        )
    raise ValueError("; ".join(named) + "; a bound itself has no density: move it, or the values")


def _check_turns(X: Array, bounds: Bounds, columns: Sequence[str]) -> None:
    """Degrees where radians are said would else be angles without a meaning."""
    most = np.where(bounds.periodic, bounds.upper - bounds.lower, np.inf)
    for latitude, longitude in bounds.places:
        most[latitude], most[longitude] = 90.0, 360.0
    for j in np.flatnonzero((np.abs(X) > most).any(0))[:1]:
        wrong = X[np.abs(X[:, j]) > most[j], j]
        raise ValueError(
            f"column {columns[j]!r} must lie between -{most[j]:.6g} and {most[j]:.6g}: "
            f"{len(wrong)} of {len(X)} values do not, such as {wrong[0]:g}"
        )


def _range(lower: float, upper: float) -> str:
    if upper == math.inf:
        return f"above {lower:g}"
    return f"below {upper:g}" if lower == -math.inf else f"between {lower:g} and {upper:g}"


def make_support(X: Array, bounds: Bounds) -> Support:
    """The map to the line, circles cut open where training rows are fewest.

    Values that it gives back for a circle lie in [0, period) where no training value is negative,
    else in [-period/2, period/2).
    """
    lower, upper, origin = bounds.lower.copy(), bounds.upper.copy(), bounds.lower.copy()
    for j in np.flatnonzero(bounds.periodic):
        period = upper[j] - lower[j]
        lower[j] = emptiest(X[:, j], period)
        upper[j] = lower[j] + period
        origin[j] = 0.0 if X[:, j].min() >= 0 else -period / 2
    return Support(
        lower.tolist(),
        upper.tolist(),
        periodic=bounds.periodic.tolist(),
        origin=origin.tolist(),
        dtype=torch.float64,
    ).eval()


def emptiest(values: Array, period: float) -> float:
    """The middle of the widest gap at the place of a circle that holds the fewest values.

    The place is the widest that holds but a hundredth of the values: where a circle is
    full, the one widest gap of many values would be an accident.

    Example:
        >>> round(emptiest(np.array([0.1, 0.2, 6.2]), 6.4), 6)
        3.2
    """
    angles = np.sort(np.remainder(values, period))
    n, reach = len(angles), max(1, len(angles) // 100)
    turned = np.concatenate([angles, angles + period])
    first = int((turned[reach : n + reach] - angles).argmax())
    near = turned[first : first + reach + 1]
    gap = int(np.diff(near).argmax())
    return float(np.remainder(near[gap : gap + 2].mean(), period))
