"""The contract of the file readers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data.extras import pandas_module
from anabranch.data.labels import Values


class Batch(NamedTuple):
    """Some rows as read: floats, shape (n, D), and labels of any type, not yet encoded."""

    X: NDArray[np.floating]
    labels: Values | None


class Source(ABC):
    """An open table on disk that can be read in batches, any number of times.

    Attributes:
        path: The file.
        columns: Names of all columns.
        image_shape: Shape of one row's image; None where the rows are no images.
        has_own_labels: Whether the format carries labels beside the columns.
        has_own_names: Whether the columns are told by names, not by their places.
    """

    path: Path
    columns: list[str]
    image_shape: tuple[int, ...] | None = None
    has_own_labels: bool = False
    has_own_names: bool = False

    @abstractmethod
    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield batches of at most `batch_rows` rows with the given columns.

        Raises:
            ValueError: If the content is not what its format and columns promise.
        """

    def frame(self, columns: list[str]) -> Any:
        """The columns as a frame of pandas, whatever they hold; by default of numbers.

        Raises:
            ImportError: If pandas is not installed.
            ValueError: If the file is not of its format.
        """
        pd = pandas_module()
        batches = [batch.X for batch in self.batches(columns, None, 1 << 16)]
        return pd.DataFrame(np.concatenate(batches), columns=columns)


def numbered_columns(n: int) -> list[str]:
    """Return the names x0, x1, ..., which scikit-learn gives to columns without names."""
    return [f"x{i}" for i in range(n)]


def as_floats(block: NDArray[np.generic]) -> NDArray[np.floating]:
    """Return float32 and float64 as they are, all other numbers as float64."""
    dtype = np.float32 if block.dtype == np.float32 else np.float64
    return np.asarray(block, dtype=dtype)
