"""Which columns tell the clusters apart."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def column_information(X: Array, clusters: NDArray[np.int64], *, bins: int = 10) -> Array:
    r"""Mutual information of each column with the cluster of a row, (D,), in nats.

    .. math:: I(B; C) = \sum_{b, c} p(b, c) \log \frac{p(b, c)}{p(b)\, p(c)}
        - \frac{(n_b - 1)(n_c - 1)}{2 n}

    b is the column's bin between its quantiles. The second term is the bias of the first for
    columns that say nothing; what falls below zero by it is zero. It is at most the entropy of the
    clusters, and sees each column by itself: two may tell together what neither tells alone. Rows
    whose cell is missing (NaN) are left out of its column.

    Args:
        X: (n, D).
        clusters: (n,) of each row.
        bins: of equally many rows.

    Source: Miller (1955), "Note on the bias of information estimates".

    Example:
        >>> X = np.c_[np.arange(400) % 2, np.arange(400) // 2 % 5].astype(float)
        >>> column_information(X, np.arange(400) % 2).round(2)  # log 2, less 1 / 800
        array([0.69, 0.  ])
    """
    names, codes = np.unique(clusters, return_inverse=True)
    found = np.zeros(X.shape[1])
    for j, column in enumerate(X.T):
        known = ~np.isnan(column)
        if known.any():
            found[j] = _information(column[known], codes[known], len(names), bins)
    return found


def _information(column: Array, codes: NDArray[np.intp], n_clusters: int, bins: int) -> float:
    cuts = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1]))
    # a value on a cut is below it; a cut at the top parts nothing
    places = np.searchsorted(cuts[cuts < column.max()], column, side="left")
    table = np.zeros((places.max() + 1, n_clusters))
    np.add.at(table, (places, codes), 1)
    joint = table / len(column)
    apart = joint.sum(1, keepdims=True) * joint.sum(0)
    found = joint > 0
    information = (joint[found] * np.log(joint[found] / apart[found])).sum()
    used = (table.sum(1) > 0).sum()
    bias = (used - 1) * (n_clusters - 1) / (2 * len(column))
    return max(0.0, float(information - bias))
