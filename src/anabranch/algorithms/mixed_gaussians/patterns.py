"""Rows by which of their cells are missing, and what a Gaussian says of the others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Numbers of the matrices that are held at a time, one for each pattern.
HELD = 1 << 22


@dataclass(frozen=True)
class Conditional:
    r"""A Gaussian given the known cells of rows.

    Attributes:
        log_prob: (n,) log-density of the known cells.
        filled: (n, D) rows with the expectations of missing cells.
        covariances: (P, D, D) of the missing cells of each pattern; zero for known ones.
    """

    log_prob: Array
    filled: Array
    covariances: Array


@dataclass(frozen=True)
class Patterns:
    """Rows with missing cells, by pattern.

    Attributes:
        X: (n, D), NaN where a cell is missing.
        known: (P, D) the patterns.
        of_row: (n,) the pattern of each row.
    """

    X: Array
    known: NDArray[np.bool_]
    of_row: NDArray[np.int64]

    @classmethod
    def of(cls, X: Array) -> "Patterns":
        """Those of a table."""
        known, of_row = np.unique(~np.isnan(X), axis=0, return_inverse=True)
        return cls(X, known, of_row.reshape(-1).astype(np.int64))

    def parts(self) -> Iterator[tuple[NDArray[np.int64], "Patterns"]]:
        """Numbers of rows and their patterns, few enough for their matrices to be held."""
        step = max(1, HELD // max(1, self.X.shape[1] ** 2))
        if len(self.known) <= step:
            yield np.arange(len(self.X)), self
            return
        for first in range(0, len(self.known), step):
            rows = np.flatnonzero((self.of_row >= first) & (self.of_row < first + step))
            known = self.known[first : first + step]
            yield rows, Patterns(self.X[rows], known, self.of_row[rows] - first)

    def given(self, mean: Array, covariance: Array) -> Conditional:
        """A Gaussian given the known cells.

        The missing rows and columns of the covariance are those of the identity: its inverse is
        then that of the known block, and its determinant too.

        Args:
            mean: (D,).
            covariance: (D, D).

        Raises:
            numpy.linalg.LinAlgError: where the covariance is not positive definite.
        """
        both = self.known[:, :, None] & self.known[:, None, :]
        masked = np.where(both, covariance, np.eye(len(mean)))
        scale_tril = np.linalg.cholesky(masked)
        log_det = np.log(np.diagonal(scale_tril, axis1=1, axis2=2)).sum(1)
        precision = np.where(both, np.linalg.inv(masked), 0.0)
        known = self.known[self.of_row]
        centred = np.where(known, self.X - mean, 0.0)
        if len(self.known) == 1:
            whitened = centred @ precision[0]
        else:
            whitened = np.einsum("nij,nj->ni", precision[self.of_row], centred)
        squares = (whitened * centred).sum(1)
        n_known = self.known.sum(1)
        constant = -log_det - 0.5 * n_known * np.log(2 * np.pi)
        filled = np.where(known, self.X, mean + whitened @ covariance)
        left = covariance - covariance @ precision @ covariance
        missing = ~self.known[:, :, None] & ~self.known[:, None, :]
        return Conditional(
            constant[self.of_row] - 0.5 * squares, filled, np.where(missing, left, 0.0)
        )
