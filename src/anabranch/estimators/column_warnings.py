"""Columns whose density means little: constant, determined by others, of few values, stray."""

import warnings

import numpy as np
from numpy.typing import NDArray

from anabranch.procedures.dependent_columns import DETERMINED, ROWS, pivots, some_rows
from anabranch.procedures.preparation import robust_statistics

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Spreads up to so many times what double precision resolves at a column's size are rounding.
RESOLVED = 8 * np.finfo(np.float64).eps
# A value held by so large a share of the rows, and by so many of them, is no accident.
SHARE, HELD = 0.05, 10
FEW = 10  # distinct values, up to which a column is a category rather than a measure
RUNNER_UP = 5  # how many times more often than any other a value is held that is a spike
DROWNING = 0.01  # share of a variance that ``reg_covar`` may add to it unnoticed


class ColumnWarning(UserWarning):
    """A column whose density means little: the warning says which, why, and what to do."""


class ConstantColumnWarning(ColumnWarning):
    """A column does not vary: it tells clusters nothing and gets the variance ``reg_covar``."""


def constant_columns(X: Array, columns: list[str], reg_covar: float) -> Mask:
    """Which columns do not vary beyond rounding; warns with their names.

    Example:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     constant_columns(np.array([[1.0, 2.0], [1.0, 3.0]]), ["a", "b"], 1e-6)
        array([ True, False])
    """
    constant = np.ptp(X, axis=0) <= RESOLVED * np.abs(X).max(axis=0)
    if constant.any():
        _warn(
            f"{constant.sum()} of {len(columns)} columns are constant ({_names(columns, constant)})"
            f": they tell clusters nothing and are given a variance of {reg_covar:g} or more; drop "
            "them for a density that is not inflated by them",
            ConstantColumnWarning,
        )
    return constant


def dependent_columns(
    Z: Array, columns: list[str], fate: str = "noise is added to it in training"
) -> Mask:
    """Which columns others determine as a sum of multiples; warns with their names.

    Source: Golub, Van Loan, "Matrix computations", section 5.4.2: QR with pivots.

    Args:
        Z: (N, D) standardised columns; those that do not vary are zero, and are passed over.
        columns: their names.
        fate: what becomes of them.

    Example:
        >>> Z = np.random.RandomState(0).randn(50, 2)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     int(dependent_columns(np.c_[Z, Z.sum(1)], ["a", "b", "total"]).sum())
        1
    """
    dependent = np.zeros(Z.shape[1], bool)
    if len(Z) <= Z.shape[1]:  # any columns of so few rows depend on each other
        return dependent
    some = some_rows(Z)
    order, left = pivots(some)
    dependent[order[: len(left)][left < DETERMINED]] = True
    dependent &= some.any(axis=0)
    if dependent.any():
        multiples = np.linalg.lstsq(some[:, ~dependent], some[:, dependent])[0]
        missed = Z[:, dependent] - Z[:, ~dependent] @ multiples
        dependent[dependent] = missed.std(0) < DETERMINED
    if dependent.any():
        _warn(
            f"other columns determine {_names(columns, dependent)}, exactly: the density of such a "
            f"column has no limit, and {fate}; drop it",
        )
    return dependent


def warn_few_values(X: Array, columns: list[str]) -> None:
    """Warn of columns with values that many rows share: flags, categories, counts of zeros.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_few_values(np.repeat([[0.0], [1.0]], 20, axis=0), ["flag"])
        >>> str(caught[0].message)
        "column 'flag' takes few values, or one for many rows: such values have no density, ..."
    """
    bad = spiked_columns(X)
    if bad.any():
        _warn(
            f"{_plural(bad)} {_names(columns, bad)} {'take' if bad.sum() > 1 else 'takes'} few "
            "values, or one for many rows: such values have no density, and clusters may become "
            "them; leave the column out, give it as context of a FlowDensity, or give levels where "
            "all columns are integers"
        )


def spiked_columns(X: Array) -> Mask:
    """Which columns hold values that many rows share, (D,).

    Example:
        >>> spiked_columns(np.c_[np.repeat([0.0, 1.0], 20), np.arange(40.0)])
        array([ True, False])
    """
    some = X[:: max(1, len(X) // (10 * ROWS))]
    return np.array([_has_spike(column) for column in some.T])


def warn_regularised(X: Array, constant: Mask, columns: list[str], reg_covar: float) -> None:
    """Warn of columns in such small units that the variance added to them drowns their own.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_regularised(np.array([[0.0], [1e-4]]), np.array([False]), ["a"], 1e-6)
        >>> str(caught[0].message)
        "reg_covar=1e-06 is more than 1 % of the variance of column 'a', down to 2.5e-09: ..."
    """
    with np.errstate(over="ignore"):
        variances = X.var(0)
    drowned = ~constant & (reg_covar * DROWNING**-1 > variances)
    if drowned.any():
        _warn(
            f"reg_covar={reg_covar:g} is more than 1 % of the variance of {_plural(drowned)} "
            f"{_names(columns, drowned)}, down to {variances[drowned].min():.2g}: rescale the "
            "columns or lower reg_covar, which is in squared units of X, or clusters that are "
            "apart are taken together"
        )


def warn_stray(X: Array, columns: list[str]) -> None:
    """Warn of columns that `robust_statistics` scales otherwise, naming their farthest value.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_stray(np.r_[np.arange(9.0), 99999.0][:, None], ["a"])
        >>> str(caught[0].message)
        "column 'a' holds 99999, far from its median 4.5, and is scaled by its interquartile ..."
    """
    for j in np.flatnonzero(robust_statistics(X)[2]):
        middle = np.median(X[:, j])
        far = X[np.abs(X[:, j] - middle).argmax(), j]
        _warn(
            f"column {columns[j]!r} holds {far:.6g}, far from its median {middle:.6g}, and is "
            "scaled by its interquartile range: remove the value if it stands for a missing one, "
            "or transform the column"
        )


def warn_set_apart(X: Array, outside: Mask, columns: list[str]) -> None:
    """Warn of rows that stand apart and are not trained on, naming one of their values.

    Args:
        X: (n, D).
        outside: (n,) which rows.
        columns: names.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_set_apart(np.array([[0.0], [9e5]]), np.array([False, True]), ["a"])
        >>> str(caught[0].message)
        "1 of 2 rows stand apart from all others, such as row 1 with 900000 in column 'a': they ..."
    """
    if not outside.any():
        return
    row = int(outside.argmax())
    spread = np.nanmax(np.abs(X[~outside] - np.nanmedian(X[~outside], axis=0)), axis=0)
    distance = np.abs(X[row] - np.nanmedian(X[~outside], axis=0)) / np.where(spread > 0, spread, 1)
    column = int(np.nanargmax(distance))
    _warn(
        f"{outside.sum()} of {len(X)} rows stand apart from all others, such as row {row} with "
        f"{X[row, column]:.6g} in column {columns[column]!r}: they belong to no component, and are "
        "not trained on; clean the values if they stand for missing ones, or set "
        "model_options={'contamination': 0} to have components for them"
    )


def _has_spike(column: Array) -> bool:
    counts = np.unique(column, return_counts=True)[1]
    if len(counts) < 2:
        return False  # constant, which is said elsewhere
    second, first = np.partition(counts, -2)[-2:]
    if first < max(HELD, SHARE * len(column)):
        return False
    return len(counts) <= FEW or first > RUNNER_UP * second


def _plural(bad: Mask) -> str:
    return "columns" if bad.sum() > 1 else "column"


def _names(columns: list[str], bad: Mask) -> str:
    names = [repr(name) for name, wrong in zip(columns, bad, strict=True) if wrong]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _warn(message: str, kind: type[ColumnWarning] = ColumnWarning) -> None:
    warnings.warn(message, kind, stacklevel=5)
