"""From columns of angles, places and numbers to the spaces that densities see, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from anabranch.algorithms.directions import from_degrees
from anabranch.procedures.table_preparation import TablePreparation
from anabranch.transforms import Support

Array = NDArray[np.float64]
DEGREE = math.pi / 180


@dataclass(frozen=True)
class Circled:
    """A column of angles.

    Attributes:
        column: its place.
        period: of one turn, in the units of the data.
        origin: where values that are given back begin.
    """

    column: int
    period: float
    origin: float = 0.0


@dataclass(frozen=True)
class Located:
    """Two columns that are a place on the earth, in degrees.

    Attributes:
        latitude: place of its column.
        longitude: likewise.
        origin: where longitudes that are given back begin.
    """

    latitude: int
    longitude: int
    origin: float = -180.0


@dataclass(frozen=True)
class Layout:
    """How the real columns of a table lie in spaces.

    Attributes:
        circles: columns of angles.
        places: pairs of columns that are places.
        linear: places of all others.

    Raises:
        ValueError: where columns are none, or one stands twice, or a period is not positive.
    """

    circles: tuple[Circled, ...]
    places: tuple[Located, ...]
    linear: tuple[int, ...]

    def __post_init__(self) -> None:
        columns = [circle.column for circle in self.circles]
        columns += [j for place in self.places for j in (place.latitude, place.longitude)]
        if sorted([*columns, *self.linear]) != list(range(self.n_real)):
            raise ValueError(f"each column must lie in one space, got {self}")
        if not all(0 < circle.period < math.inf for circle in self.circles):
            raise ValueError(f"periods must be positive and finite, got {self.circles}")

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """Kind and size of each space, as of `anabranch.models.product_flow`."""
        circles = [("circle", len(self.circles))] if self.circles else []
        reals = [("real", len(self.linear))] if self.linear else []
        return [*circles, *[("sphere", 3)] * len(self.places), *reals]

    @property
    def features(self) -> int:
        """How many numbers a density sees."""
        return sum(size for _, size in self.blocks)

    @property
    def n_real(self) -> int:
        """How many columns they come from."""
        return len(self.circles) + 2 * len(self.places) + len(self.linear)

    def with_origins(self, X: Array) -> "Layout":
        """With values given back from 0, or from half a turn below where one is negative."""

        def origin(column: int, period: float) -> float:
            return 0.0 if X[:, column].min() >= 0 else -period / 2

        circles = tuple(replace(c, origin=origin(c.column, c.period)) for c in self.circles)
        places = tuple(replace(p, origin=origin(p.longitude, 360.0)) for p in self.places)
        return replace(self, circles=circles, places=places)

    def seen(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which numbers that the density sees come from marked linear columns, (W,)."""
        mask = np.zeros(self.features, bool)
        mask[self.features - len(self.linear) :] = marked[list(self.linear)]
        return mask

    def plain(self) -> dict[str, Any]:
        """In plain JSON values; `from_plain` is the inverse."""
        return {
            "circles": [asdict(circle) for circle in self.circles],
            "places": [asdict(place) for place in self.places],
            "linear": list(self.linear),
        }

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Self:
        """The layout of plain JSON values."""
        circles = tuple(Circled(**circle) for circle in fields["circles"])
        places = tuple(Located(**place) for place in fields["places"])
        return cls(circles, places, tuple(int(j) for j in fields["linear"]))


@dataclass
class ProductPreparation(TablePreparation):
    """The fixed part of a model on a product of spaces.

    Angles become radians, places unit vectors; all other columns are prepared as those of a table.
    Log-densities are those of the columns: of an angle per unit of the data, of a place per square
    degree of the earth's surface, which is the same everywhere, at the poles as well.

    Attributes:
        transform: of the linear columns; of one that there is not where there is none.
        n_real: how many columns these are.
        layout: which columns are what.
    """

    layout: Layout = Layout((), (), ())

    @classmethod
    def of_columns(
        cls,
        X: Array,
        layout: Layout,
        constant: NDArray[np.bool_],
        *,
        widths: Sequence[float],
        support: Support | None,
    ) -> Self:
        """Take the statistics of training rows.

        Args:
            X: (n, D + C), without gaps.
            layout: of the D real columns.
            constant: (D,) whether a column does not vary.
            widths: of the cells of each linear column, 0 for none.
            support: the map of bounded linear columns to the line, or None.
        """
        linear = list(layout.linear)
        inner = TablePreparation.of_rows(
            X[:, linear], constant[linear], widths=list(widths), support=support
        )
        return cls(inner.transform, n_real=inner.n_real, layout=layout.with_origins(X))

    @classmethod
    def empty_columns(
        cls, layout: Layout, *, widths: Sequence[float], support: Support | None
    ) -> Self:
        """The transform with its statistics still to be set."""
        inner = TablePreparation.blank(list(widths), support=support)
        return cls(inner.transform, n_real=inner.n_real, layout=layout)

    def precisely(self, X: Array, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Rows in float64, (n, W + C), and their log-density terms, (n,)."""
        layout = self.layout
        linear, term = super().precisely(self._linear_and_codes(X), generator)
        parts = []
        for circle in layout.circles:
            share = np.remainder(X[:, circle.column], circle.period) / circle.period
            parts.append(torch.as_tensor(2 * math.pi * share)[:, None])
            term = term + math.log(2 * math.pi / circle.period)
        for place in layout.places:
            vectors = from_degrees(X[:, place.latitude], X[:, place.longitude])
            parts.append(torch.as_tensor(vectors))
            term = term + 2 * math.log(DEGREE)
        return torch.cat([*parts, linear], 1), term

    def decode(self, z: Tensor) -> Array:
        """Rows in the units of the data."""
        layout, z = self.layout, z.double().cpu()
        ahead = layout.features - len(layout.linear)
        curved, rest = z[:, :ahead].numpy(), super().decode(z[:, ahead:])
        X = np.empty((len(z), layout.n_real + rest.shape[1] - len(layout.linear)))
        X[:, list(layout.linear)] = rest[:, : len(layout.linear)]
        X[:, layout.n_real :] = rest[:, len(layout.linear) :]
        for j, circle in enumerate(layout.circles):
            turned = circle.period * curved[:, j] / (2 * math.pi) - circle.origin
            X[:, circle.column] = circle.origin + _wrapped(turned, circle.period)
        for j, place in enumerate(layout.places):
            first = len(layout.circles) + 3 * j
            x, y, height = curved[:, first : first + 3].T
            X[:, place.latitude] = np.degrees(np.arctan2(height, np.hypot(x, y)))
            turned = np.degrees(np.arctan2(y, x)) - place.origin
            X[:, place.longitude] = place.origin + _wrapped(turned, 360.0)
        return X

    def _linear_and_codes(self, X: Array) -> Array:
        return np.concatenate([X[:, list(self.layout.linear)], X[:, self.layout.n_real :]], 1)


def _wrapped(values: Array, period: float) -> Array:
    """In [0, period): a remainder can round to the period itself."""
    turned = np.remainder(values, period)
    return np.where(turned < period, turned, 0.0)
