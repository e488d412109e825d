"""Which rows a fit held out, so that figures of them can be told from those of rows trained on."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.archive import Tree
from anabranch.estimators.estimator import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """The rows of a table that judged a fit.

    Attributes:
        digest: of all rows of the table, by which it is known again.
        n_rows: how many they were.
        rows: places of those held out, ascending.

    Example:
        >>> X = np.arange(6.0).reshape(3, 2)
        >>> held_out = HeldOut.of(X, np.array([1]))
        >>> held_out.among(X), held_out.among(X[:2])
        (array([1]), None)
    """

    digest: str
    n_rows: int
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, X: Array, rows: NDArray[np.int64]) -> Self | None:
        """What a fit to X held out; None for nothing."""
        return cls(_digest(X), len(X), np.sort(rows)) if len(rows) else None

    def among(self, X: Array) -> NDArray[np.int64] | None:
        """Which rows of X were held out; None where X is another table."""
        same = len(X) == self.n_rows and _digest(X) == self.digest
        return self.rows if same else None

    def state(self) -> dict[str, Tree]:
        """As a tree of tensors; `from_state` is the inverse."""
        bits = np.zeros(self.n_rows, bool)
        bits[self.rows] = True
        packed = torch.as_tensor(np.packbits(bits))
        return {"digest": self.digest, "n_rows": self.n_rows, "rows": packed}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """From the tree of a model file."""
        bits = np.unpackbits(state["rows"].numpy(), count=state["n_rows"])
        return cls(state["digest"], state["n_rows"], np.flatnonzero(bits))


def _digest(X: Array) -> str:
    return blake2b(np.ascontiguousarray(X).tobytes(), digest_size=16).hexdigest()
