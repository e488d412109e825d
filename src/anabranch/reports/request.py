"""What the caller of a report asked for, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from anabranch.reports.projection import PROJECTIONS
from anabranch.reports.protocol import FittedDensity, FittedMixture
from anabranch.reports.view import View

Names = Sequence[str] | np.ndarray


@dataclass(frozen=True)
class Request:
    """The checked arguments of a report.

    Attributes:
        title: Heading of the page.
        columns: Names of the D columns.
        labels: Known labels, -1 where unknown, shape (n,); None where no row has one.
        label_names: Names of the labels 0, 1, ...; None for their numbers.
        image_shape: Shape of a row as an image, or None.
        max_points: Most rows that a picture shows.
        projection: `"pca"` or `"tsne"`.
        row_names: What each of the n rows is called; None for its number.
        restarts: How many whole fits the clusters are compared with.
    """

    title: str
    columns: tuple[str, ...]
    labels: np.ndarray | None
    label_names: tuple[str, ...] | None
    image_shape: tuple[int, ...] | None
    max_points: int
    projection: str
    row_names: tuple[str, ...] | None = None
    restarts: int = 0

    def row_name(self, row: int) -> str:
        """What a row is called."""
        return f"row\u00a0{row}" if self.row_names is None else self.row_names[row]


@dataclass(frozen=True)
class Wanted:
    """What a page shall be like, as the caller says: not checked yet, see `Request`."""

    title: str
    columns: Names | None
    image_shape: Sequence[int] | None
    label_names: Names | None
    max_points: int
    projection: str
    row_names: Names | None = None
    restarts: int = 0


def check_request(
    est: FittedMixture | FittedDensity, X: Any, labels: Any, wanted: Wanted
) -> Request:
    """Check all arguments before any work is done.

    Raises:
        ValueError: When an argument has a wrong value or does not fit the others.
        TypeError: When labels are no integers.
    """
    n, width = _shape(X)
    if width != est.n_features_in_:
        raise ValueError(f"X: got {width} columns; the model was fitted to {est.n_features_in_}.")
    max_points, projection = wanted.max_points, wanted.projection
    if not isinstance(max_points, Integral) or max_points < 2:
        raise ValueError(f"max_points: got {max_points!r}; expected an integer of 2 or more.")
    if projection not in PROJECTIONS:
        raise ValueError(f"projection: got {projection!r}; expected one of {PROJECTIONS}.")
    if not isinstance(wanted.restarts, Integral) or wanted.restarts < 0:
        raise ValueError(f"restarts: got {wanted.restarts!r}; expected an integer of 0 or more.")
    known = _known_labels(labels, n)
    return Request(
        title=wanted.title,
        columns=_column_names(est, X, wanted.columns, width),
        labels=known,
        label_names=_label_names(wanted.label_names, known),
        image_shape=_image_shape(wanted.image_shape, width),
        max_points=max_points,
        projection=projection,
        row_names=_row_names(X, wanted.row_names, n),
        restarts=wanted.restarts,
    )


def _row_names(X: Any, names: Names | None, n: int) -> tuple[str, ...] | None:
    """Those given, or the index of a frame that has more than numbers."""
    if names is None:
        index: Any = getattr(X, "index", None)
        if index is None or type(index).__name__ == "RangeIndex" or callable(index):
            return None
        names = [str(name) for name in index]
    if len(names) != n:
        raise ValueError(f"row_names: got {len(names)} names for {n} rows.")
    return tuple(str(name) for name in names)


def _shape(X: Any) -> tuple[int, int]:
    shape = np.shape(X)
    if len(shape) != 2 or shape[0] < 2 or shape[1] < 1:
        raise ValueError(f"X: got shape {shape}; expected (rows, columns) with 2 rows or more.")
    return shape[0], shape[1]


def _column_names(
    est: FittedMixture | FittedDensity, X: Any, columns: Names | None, width: int
) -> tuple[str, ...]:
    shown = View.of(est).names()
    if shown is not None:
        width = len(shown)
        columns = shown if columns is None else columns
    if columns is None:
        columns = getattr(X, "columns", None)
    if columns is None:
        columns = getattr(est, "feature_names_in_", None)
    if columns is None:
        return tuple(f"x{i}" for i in range(1, width + 1))
    if len(columns) != width:
        raise ValueError(f"columns: got {len(columns)} names; X has {width} columns.")
    return tuple(str(name) for name in columns)


def _known_labels(labels: Any, n: int) -> np.ndarray | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"labels: got shape {array.shape}; expected ({n},), one for each row.")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"labels: got {array.dtype}; expected integers, -1 where unknown.")
    if array.min() < -1:
        raise ValueError(f"labels: got {array.min()}; expected 0, 1, ... and -1 where unknown.")
    return array if (array >= 0).any() else None


def _label_names(names: Names | None, labels: np.ndarray | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if labels is not None and labels.max() >= len(names):
        raise ValueError(
            f"label_names: got {len(names)} names; labels go up to {labels.max()}, "
            f"so expected at least {labels.max() + 1}."
        )
    return tuple(str(name) for name in names)


def _image_shape(image_shape: Sequence[int] | None, width: int) -> tuple[int, ...] | None:
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    whole = all(isinstance(side, Integral) and side > 0 for side in shape)
    if not whole or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise ValueError(
            f"image_shape: got {shape}; expected (height, width) or (height, width, channels) "
            "with 1 or 3 channels."
        )
    if int(np.prod(shape)) != width:
        raise ValueError(
            f"image_shape: {shape} makes {int(np.prod(shape))} values; X has {width} columns."
        )
    return shape
