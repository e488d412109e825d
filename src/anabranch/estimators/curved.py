"""Columns of angles and places on the earth: their layout in spaces, and its preparation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anabranch.data.column_kinds import ColumnKind
from anabranch.estimators.checks import check_range
from anabranch.estimators.supports import Bounds, make_support
from anabranch.procedures.product_preparation import Circled, Layout, Located, ProductPreparation
from anabranch.transforms import Support

Array = NDArray[np.float64]


def layout_of_kinds(kinds: Sequence[ColumnKind], names: Sequence[str]) -> Layout | None:
    """The layout of real columns; None where none of them is an angle or a place.

    Args:
        kinds: of the real columns.
        names: theirs.

    Raises:
        ValueError: for a latitude without its longitude, which then holds no value at all.

    Example:
        >>> kinds = [ColumnKind("circle", 0.0, 24.0), ColumnKind("real")]
        >>> layout_of_kinds(kinds, ["hour", "size"]).blocks
        [('circle', 1), ('real', 1)]
    """
    circles, places, linear = [], [], []
    for j, kind in enumerate(kinds):
        if kind.name in ("latitude", "longitude") and kind.partner not in names:
            raise ValueError(f"column {kind.partner!r} of a place holds no value")
        if kind.name == "circle":
            circles.append(Circled(j, kind.upper))
        elif kind.name == "latitude":
            places.append(Located(j, list(names).index(kind.partner)))
        elif kind.name != "longitude":
            linear.append(j)
    if not circles and not places:
        return None
    return Layout(tuple(circles), tuple(places), tuple(linear))


def layout_of_bounds(bounds: Bounds | None) -> Layout | None:
    """The same of supports."""
    if bounds is None or not (bounds.periodic.any() or bounds.places):
        return None
    circles = tuple(
        Circled(int(j), float(bounds.upper[j])) for j in np.flatnonzero(bounds.periodic)
    )
    places = tuple(Located(*pair) for pair in bounds.places)
    curved = {c.column for c in circles} | {j for pair in bounds.places for j in pair}
    linear = tuple(j for j in range(len(bounds.lower)) if j not in curved)
    return Layout(circles, places, linear)


def bounded_part(bounds: Bounds | None, layout: Layout) -> Bounds | None:
    """The bounds of the linear columns; None where all live on the line."""
    if bounds is None:
        return None
    linear = list(layout.linear)
    lower, upper = bounds.lower[linear], bounds.upper[linear]
    if not (np.isfinite(lower) | np.isfinite(upper)).any():
        return None
    return Bounds(lower, upper, np.zeros(len(linear), bool))


def blank_curved(
    layout: Layout, bounds: Bounds | None, widths: Sequence[float]
) -> ProductPreparation:
    """A preparation with its statistics still to be set.

    Args:
        layout: of the real columns.
        bounds: of the linear ones, or None.
        widths: of the cells of the linear ones.
    """
    support = None if bounds is None else _support(bounds)
    return ProductPreparation.empty_columns(layout, widths=widths, support=support)


def fit_curved(
    X: Array,
    layout: Layout,
    bounds: Bounds | None,
    widths: Sequence[float],
    constant: NDArray[np.bool_],
) -> ProductPreparation:
    """A preparation with the statistics of training rows; other arguments as of `blank_curved`."""
    support = None if bounds is None else _support(bounds)
    return ProductPreparation.of_columns(X, layout, constant, widths=widths, support=support)


def check_curved_range(z: Tensor, X: Array, layout: Layout, names: Sequence[str]) -> None:
    """Refuse values of linear columns that single precision cannot hold."""
    linear, last = list(layout.linear), layout.features
    if linear:
        own = z[:, last - len(linear) : last]
        check_range(own, X[:, linear], [names[j] for j in linear])


def _support(bounds: Bounds) -> Support:
    return make_support(np.ones((1, len(bounds.lower))), bounds)
