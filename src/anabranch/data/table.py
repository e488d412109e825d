"""The table that all readers return."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Table:
    """Numeric data with column names and, where there are any, labels.

    Attributes:
        X: Shape (n, D), float32 where the file stores all columns so (or 8-bit images in IDX
            files), else float64. Blank cells are NaN. Of mixed columns, a frame of pandas.
        columns: Names of the D columns.
        labels: Shape (n,), int64, -1 where a label is missing; None without labels.
        label_names: The text of labels 0, 1, ...; None where the labels are integers.
        image_shape: Shape of one row's image; None where the rows are no images.
    """

    X: Any
    columns: list[str]
    labels: NDArray[np.int64] | None = None
    label_names: list[str] | None = None
    image_shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.X)
