"""The columns of a table as numbers, for pictures, and their values as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anabranch.data.table_coding import TableCoding
from anabranch.estimators.table_columns import CodedRows


@dataclass(frozen=True)
class View:
    """How a report sees the rows of a model.

    Attributes:
        coding: of a table of mixed columns; None for numbers alone.
    """

    coding: TableCoding | None = None

    @classmethod
    def of(cls, est: Any) -> "View":
        """That of a fitted model."""
        return cls(getattr(est, "coding_", None))

    def numbers(self, X: Any) -> np.ndarray:
        """Rows as numbers, (n, D): codes for categories, NaN for what is missing."""
        return np.asarray(X, dtype=float) if self.coding is None else self.coding.encode(X)

    def rows(self, numbers: np.ndarray) -> Any:
        """What a model takes for such numbers."""
        return numbers if self.coding is None else CodedRows(numbers)

    def names(self) -> list[str] | None:
        """Of the columns, where the table says them."""
        return None if self.coding is None else self.coding.encoded_names

    def categories(self, column: int) -> list[str] | None:
        """The names of a column's categories; None for numbers."""
        if self.coding is None or column < len(self.coding.reals):
            return None
        kind = self.coding.codes[column - len(self.coding.reals)].kind
        return [str(name) for name in kind.categories]

    def text(self, column: int, value: float) -> str:
        """A cell as its table has it, to four digits.

        Example:
            >>> View().text(0, 1234.56)
            '1235'
        """
        if np.isnan(value):
            return "missing"
        names = self.categories(column)
        if names is not None:
            return names[int(value)]
        if self.coding is not None and self.coding.reals[column].kind.name == "date":
            return str(np.datetime64(0, "D") + np.timedelta64(round(value), "D"))
        return f"{value:.4g}" if abs(value) < 1e4 or value != round(value) else f"{value:.0f}"

    def spread(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers without order among categories, and without gaps, for distances, (n, E).

        A category is as many columns of zeros and ones; a gap is at the mean of its column.
        """
        parts: Sequence[np.ndarray] = [
            self._indicators(j, column) for j, column in enumerate(numbers.T)
        ]
        spread = np.concatenate(parts, axis=1)
        if np.isnan(spread).any():
            known = np.where(np.isnan(spread).all(0), 0.0, spread)
            spread = np.where(np.isnan(spread), np.nanmean(known, axis=0), spread)
        return spread

    def _indicators(self, place: int, column: np.ndarray) -> np.ndarray:
        names = self.categories(place)
        if names is None:
            return column[:, None]
        wide = np.where(np.isnan(column)[:, None], np.nan, column[:, None] == np.arange(len(names)))
        return wide.astype(float)
