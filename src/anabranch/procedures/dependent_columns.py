"""Columns that others determine: found before a fit, and what is left of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import qr

from anabranch.transforms import Dependence

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Of a standardised column: what is left of one that others determine, up to their rounding.
DETERMINED = 1e-7
# What is left of one that they nearly determine, and that is modelled in its own scale.
NEAR = 0.05
ROWS = 2000  # that columns are compared on, or twice as many as there are columns


def some_rows(Z: Array) -> Array:
    """Enough rows, evenly spaced, to compare columns on."""
    return Z[:: max(1, len(Z) // max(ROWS, 2 * Z.shape[1]))]


def pivots(Z: Array) -> tuple[NDArray[np.int64], Array]:
    """Columns in the order of QR with pivots, and the deviation that each adds to those before.

    Source: Golub, Van Loan, "Matrix computations", section 5.4.2.

    Args:
        Z: (n, D) standardised columns.
    """
    triangle, order = qr(Z, mode="r", pivoting=True)  # pyright: ignore[reportAssignmentType]
    return order.astype(np.int64), np.abs(np.diagonal(triangle)) / np.sqrt(len(Z))


def fit_dependence(Z: Array, determined: Mask, constant: Mask) -> Dependence | None:
    """What leaves determined columns out, and takes nearly determined ones in their own scale.

    Args:
        Z: (n, D) standardised columns.
        determined: (D,) which of them others determine.
        constant: (D,) which do not vary, and are left alone.

    Returns:
        The map to the columns that are kept; None where all of them are independent enough.

    Example:
        >>> Z = np.random.RandomState(0).randn(500, 2)
        >>> near = Z[:, 0] + 1e-3 * np.random.RandomState(1).randn(500)
        >>> dependence = fit_dependence(np.c_[Z, near], np.zeros(3, bool), np.zeros(3, bool))
        >>> z, _ = dependence.encode(torch.as_tensor(np.c_[Z, near]))
        >>> z.std(0).round(decimals=1).tolist()
        [1.0, 1.0, 1.0]
    """
    if len(Z) <= 2 * Z.shape[1]:
        return None
    kept = np.flatnonzero(~determined)
    varying = kept[~constant[kept]]
    if not len(varying):
        return None
    order, left = pivots(some_rows(Z[:, varying]))
    order, near = varying[order], left[: len(varying)] < NEAR
    if not near.any() and not determined.any():
        return None
    place = {int(column): i for i, column in enumerate(kept)}
    size = len(kept)
    multiples, offset, scale = np.zeros((size, size)), np.zeros(size), np.ones(size)
    for j in np.flatnonzero(near):
        before, own = [place[int(column)] for column in order[:j]], place[int(order[j])]
        weights, offset[own] = _regressed(Z[:, order[:j]], Z[:, order[j]])
        multiples[before, own] = weights
        missed = Z[:, order[j]] - offset[own] - Z[:, order[:j]] @ weights
        scale[own] = max(float(missed.std()), DETERMINED)
    dependence = Dependence(Z.shape[1], kept.tolist()).double()
    restoring, shift = dependence.restoring.numpy().copy(), np.zeros(Z.shape[1])
    for column in np.flatnonzero(determined):
        restoring[:, column], shift[column] = _regressed(Z[:, kept], Z[:, column])
    arrays = {"multiples": multiples, "offset": offset, "scale": scale}
    arrays |= {"restoring": restoring, "shift": shift}
    dependence.set_multiples(**{name: torch.as_tensor(value) for name, value in arrays.items()})
    return dependence.eval()


def _regressed(X: Array, y: Array) -> tuple[Array, float]:
    """Least squares with an intercept."""
    found = np.linalg.lstsq(np.c_[X, np.ones(len(X))], y)[0]
    return found[:-1], float(found[-1])
