"""How well clusters agree with known classes.

Points with label -1 in `y_true` have no known class and are left out everywhere.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.int64]


class ContingencyTable(NamedTuple):
    """Counts of points by class (rows) and component (columns).

    Attributes:
        counts: Shape (number of classes, number of components).
        classes: The class of each row.
        components: The component of each column.
    """

    counts: NDArray[np.int64]
    classes: Labels
    components: Labels


def contingency_table(
    y_true: ArrayLike, y_pred: ArrayLike, matched: bool = True
) -> ContingencyTable:
    """Count the points of each class in each component.

    Args:
        y_true: Known classes, shape (n,); points with -1 are left out.
        y_pred: Components, shape (n,), from 0 to K - 1.
        matched: Order the columns so that matched pairs of the best one-to-one assignment
            stand on the diagonal as far as possible: the components of the classes in the order
            of the rows, then those without a class.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If the shapes differ, no class is known, or a label is out of range.

    Example:
        >>> contingency_table([0, 0, 1, 1, 1], [1, 1, 0, 0, 1]).counts.tolist()
        [[2, 0], [1, 2]]
    """
    y_true, y_pred, n_components = _known(y_true, y_pred)
    classes, rows = np.unique(y_true, return_inverse=True)
    counts = np.zeros((len(classes), n_components), dtype=np.int64)
    np.add.at(counts, (rows, y_pred), 1)
    components = np.arange(n_components)
    if matched:
        assigned = linear_sum_assignment(counts, maximize=True)[1]
        components = np.concatenate([assigned, np.setdiff1d(components, assigned)])
    return ContingencyTable(counts[:, components], classes, components)


def match_components(y_true: ArrayLike, y_pred: ArrayLike) -> Labels:
    """Return the class of each component under the best one-to-one assignment.

    The assignment maximises the number of points whose component is that of their class
    (Kuhn, 1955). A component without a class, where there are more components than classes,
    has -1. So `match_components(y_true, y_pred)[y_pred]` are the predicted classes.

    Args:
        y_true: Known classes, shape (n,); points with -1 are left out.
        y_pred: Components, shape (n,), from 0 to K - 1.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If the shapes differ, no class is known, or a label is out of range.

    Example:
        >>> match_components([7, 7, 3, 3, 3], [1, 1, 0, 0, 2]).tolist()
        [3, 7, -1]
    """
    counts, classes, components = contingency_table(y_true, y_pred, matched=False)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    match = np.full(len(components), -1, dtype=np.int64)
    match[columns] = classes[rows]
    return match


def clustering_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the share of points that the best one-to-one assignment gets right.

    Args:
        y_true: Known classes, shape (n,); points with -1 are left out.
        y_pred: Components, shape (n,), from 0 to K - 1.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If the shapes differ, no class is known, or a label is out of range.

    Example:
        >>> clustering_accuracy([0, 0, 1, 1, -1], [1, 1, 0, 1, 0])
        0.75
    """
    counts = contingency_table(y_true, y_pred, matched=False).counts
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum())


def normalized_mutual_info(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    r"""Return $2 I(c; k) / (H(c) + H(k))$ between classes and components, from 0 to 1.

    Args:
        y_true: Known classes, shape (n,); points with -1 are left out.
        y_pred: Components, shape (n,), from 0 to K - 1.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If the shapes differ, no class is known, or a label is out of range.

    Example:
        >>> normalized_mutual_info([0, 0, 1, 1], [1, 1, 0, 0])
        1.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    y_true, y_pred, _ = _known(y_true, y_pred)
    return float(normalized_mutual_info_score(y_true, y_pred))


def adjusted_rand(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the Rand index adjusted for chance (Hubert and Arabie, 1985), at most 1.

    Args:
        y_true: Known classes, shape (n,); points with -1 are left out.
        y_pred: Components, shape (n,), from 0 to K - 1.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If the shapes differ, no class is known, or a label is out of range.

    Example:
        >>> adjusted_rand([0, 0, 1, 1], [1, 1, 0, 0])
        1.0
    """
    from sklearn.metrics import adjusted_rand_score

    y_true, y_pred, _ = _known(y_true, y_pred)
    return float(adjusted_rand_score(y_true, y_pred))


def _known(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Labels, Labels, int]:
    """Check both and leave out the points without a class; K counts all components."""
    y_true, y_pred = _labels("y_true", y_true, lowest=-1), _labels("y_pred", y_pred, lowest=0)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has {len(y_true)} labels, y_pred has {len(y_pred)}")
    known = y_true >= 0
    if not known.any():
        raise ValueError("y_true holds no known class, expected at least one label >= 0")
    return y_true[known], y_pred[known], int(y_pred.max()) + 1


def _labels(name: str, values: ArrayLike, lowest: int) -> Labels:
    labels = np.asarray(values)
    if labels.ndim != 1:
        raise ValueError(f"{name} has shape {labels.shape}, expected (n,)")
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} has dtype {labels.dtype}, expected integers")
    if labels.size and labels.min() < lowest:
        raise ValueError(f"{name} holds {labels.min()}, expected labels of at least {lowest}")
    return labels.astype(np.int64)
