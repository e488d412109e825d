"""Labels: where known, for few or for all rows."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def check_targets(
    y: ArrayLike | None, n_rows: int, n_components: int | None
) -> tuple[Array | None, int]:
    """Labels as a matrix of target probabilities, rows of zeros where unknown.

    Args:
        y: None; (N,) integers or text, -1 or nothing where unknown; or (N, K) probabilities, rows
            of zeros where unknown.
        n_rows: N.
        n_components: K; None for as many as y has classes, which are then numbered in their
            order, or one without labels.

    Returns:
        The targets (N, K), or None where nothing is known, and K.

    Raises:
        ValueError: for a wrong length, labels outside -1..K-1, or rows that are no probabilities.

    Warns:
        UserWarning: where components are no longer called as the classes, or where all rows have
            labels, and a component none.

    Example:
        >>> check_targets([1, -1], 2, 2)
        (array([[0., 1.],
               [0., 0.]]), 2)
    """
    if y is None:
        return None, n_components or 1
    if np.ma.is_masked(y):
        raise ValueError("y is masked: write -1 where a label is unknown")
    y = np.asarray(y)
    if y.ndim not in (1, 2):
        raise ValueError(f"y has the shape {y.shape}, expected one label or one row for each of X")
    if len(y) != n_rows:
        raise ValueError(f"y has {len(y)} entries for {n_rows} rows of X")
    y = coded(y)[0]
    if n_components == 1 and y.ndim == 1:
        _warn_ignored(_check_integers(y))
        return None, 1
    if y.ndim == 2 and y.shape[1] > 1:
        targets = _check_probabilities(y, n_components)
    else:
        labels = _check_integers(y.reshape(-1))
        if n_components is None:
            labels, n_components = _numbered(labels)
        targets = _one_hot(labels, n_components)
    return (targets if targets.any() else None), targets.shape[1]


def coded(y: NDArray[np.generic]) -> tuple[NDArray[np.generic], list[str] | None]:
    """Text labels as numbers, -1 where unknown, and the classes in their order; others as they are.

    Text stays what it is: "NA", "01" and "1" are three classes. What is unknown is None, NaN,
    pandas' NA, the number -1, and the text of it, which numpy makes of -1 among text.

    Raises:
        ValueError: for labels that are neither text nor numbers.

    Example:
        >>> coded(np.array(["dog", "cat", None], dtype=object))
        (array([ 1,  0, -1]), ['cat', 'dog'])
    """
    if y.dtype.kind not in "OUST" or y.ndim != 1:
        return y, None
    known = np.array([not _is_unknown(label) for label in y], bool)
    named = [isinstance(label, str) for label in y[known]]
    if named and not any(named):  # numbers in an array of objects
        return np.where(known, y, -1).astype(np.float64), None
    if not all(named):
        raise ValueError(
            "Unknown label type: y must be integers 0..K-1 or text, and -1 where unknown, got both "
            f"{next(label for label in y[known] if not isinstance(label, str))!r} and text"
        )
    names = sorted({str(label) for label in y[known]})
    places = {name: k for k, name in enumerate(names)}
    return np.array([places[str(v)] if k else -1 for v, k in zip(y, known, strict=True)]), names


def _is_unknown(label: object) -> bool:
    blank = label is None or type(label).__name__ in ("NAType", "NaTType")
    return blank or label != label or str(label) == "-1"  # NaN is not itself


def warn_of_missing(targets: NDArray[np.float64]) -> None:
    """Warn where all rows have labels, and components are left without any.

    Args:
        targets: (N, K), one-hot rows.
    """
    without = np.flatnonzero(~targets.any(0))
    if len(without) and targets.any(1).all():
        shown = ", ".join(map(str, without[:5]))
        warnings.warn(
            f"all rows have labels, but none is of component {shown}: no row is left for it",
            stacklevel=4,
        )


def classes_of(
    y: ArrayLike, n_components: int | None, n_found: int
) -> NDArray[np.int64] | NDArray[np.object_]:
    """The class of each component, (K,): its number, where it was not numbered anew, or its name.

    A component without a class has the empty name.

    Args:
        y: labels that `check_targets` has accepted.
        n_components: as it was given.
        n_found: K.

    Example:
        >>> classes_of([7, -1, 5], None, 2), classes_of([1, -1, 0], 3, 3)
        (array([5, 7]), array([0, 1, 2]))
    """
    numbers, names = coded(np.asarray(y))
    if names is not None:
        return np.array([*names, *[""] * (n_found - len(names))], dtype=object)
    if n_components is not None or (numbers.ndim == 2 and numbers.shape[1] > 1):
        return np.arange(n_found)
    classes = np.unique(numbers).astype(np.int64)
    return classes[classes >= 0]


def _numbered(y: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Labels as numbers of components: the classes that there are, in their order."""
    classes = np.unique(y[y >= 0])
    if len(classes) and classes[-1] >= len(classes):
        shown = ", ".join(map(str, classes[:8])) + (", ..." if len(classes) > 8 else "")
        warnings.warn(
            f"y has the {len(classes)} classes {shown}: the components are numbered from 0, and "
            "classes_ holds the class of each; give n_components to have classes without labels",
            stacklevel=5,
        )
        y = np.where(y >= 0, np.searchsorted(classes, y), y)
    return y, max(len(classes), 1)


def _warn_ignored(y: NDArray[np.int64]) -> None:
    """One component has no classes to tell apart: y is ignored, as density estimators do."""
    if (y > 0).any():
        warnings.warn(
            f"y has labels up to {y.max()} but n_components=1: y is ignored", stacklevel=4
        )


def _check_integers(y: NDArray[np.generic]) -> NDArray[np.int64]:
    if y.dtype.kind not in "iufb":
        raise ValueError(
            "Unknown label type: y must be integers 0..K-1 or text, and -1 where unknown, got "
            f"{y.dtype} such as {y[0]!r}"
        )
    if not np.isfinite(y).all() or (y != np.floor(y)).any():
        raise ValueError("y must be integers 0..K-1, and -1 where unknown, got fractions or NaN")
    return y.astype(np.int64)


def _one_hot(y: NDArray[np.int64], n_components: int) -> Array:
    if y.min(initial=0) < -1 or y.max(initial=-1) >= n_components:
        wrong = sorted(set(y[(y < -1) | (y >= n_components)].tolist()))[:5]
        raise ValueError(
            f"labels must be 0..{n_components - 1} for {n_components} components, and -1 where "
            f"unknown, got {', '.join(map(str, wrong))} (without n_components, they are numbered)"
        )
    return np.where(y[:, None] == np.arange(n_components), 1.0, 0.0)


def _check_probabilities(y: NDArray[np.generic], n_components: int | None) -> Array:
    y = y.astype(np.float64)
    if n_components is not None and y.shape[1] != n_components:
        raise ValueError(f"y has {y.shape[1]} columns for {n_components} components")
    total = y.sum(1)
    if (y < 0).any() or not (np.isclose(total, 1.0, atol=1e-4) | (total == 0)).all():
        raise ValueError(
            "rows of a two-dimensional y must be probabilities that sum to one, or zeros where "
            "nothing is known"
        )
    return y
