"""Hashes of rows, by which they are sampled and dealt wherever they stand."""

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def row_hashes(X: NDArray[np.float64]) -> Hashes:
    """A hash of each row, (n,), that says nothing of its place.

    Rows that repeat are told apart by how often they came before, and by the other rows: of many
    equal ones some judge and some are sampled.

    Example:
        >>> a, b, c = row_hashes(np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]]))
        >>> bool(a != b), bool(a == row_hashes(np.array([[0.0, 1.0]]))[0]), bool(a != c)
        (True, True, True)
    """
    hashes = np.zeros(len(X), np.uint64)
    for column in X.T:
        bits = np.ascontiguousarray(column + 0.0).view(np.uint64)
        hashes = mixed((hashes ^ bits) + np.uint64(0x9E3779B97F4A7C15))
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    new = np.r_[True, ranked[1:] != ranked[:-1]]
    if new.all():
        return hashes
    place = np.arange(len(ranked))
    before = place - np.maximum.accumulate(np.where(new, place, 0))
    others = hashes.sum(dtype=np.uint64)
    told = mixed(ranked + others * before.astype(np.uint64))
    hashes[order] = np.where(before > 0, told, ranked)
    return hashes


def mixed(x: Hashes) -> Hashes:
    """Numbers that look random: a bijection, Stafford's thirteenth ending of MurmurHash3.

    Example:
        >>> [f"{number:x}" for number in mixed(np.array([0, 1], np.uint64))]
        ['0', '5692161d100b05e5']
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
