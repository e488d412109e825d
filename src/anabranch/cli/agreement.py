"""How well components agree with known classes, as text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anabranch.cli.text import align
from anabranch.metrics import (
    adjusted_rand,
    clustering_accuracy,
    contingency_table,
    normalized_mutual_info,
)


def scores(labels: NDArray[np.int64], components: NDArray[np.int64]) -> dict[str, str]:
    """Accuracy under the best matching, mutual information and Rand index, to be printed.

    Example:
        >>> scores(np.array([0, 0, 1]), np.array([1, 1, 0]))
        {'ACC': '1.0000', 'NMI': '1.0000', 'ARI': '1.0000'}
    """
    measures = {
        "ACC": clustering_accuracy,
        "NMI": normalized_mutual_info,
        "ARI": adjusted_rand,
    }
    return {name: f"{measure(labels, components):.4f}" for name, measure in measures.items()}


def contingency(
    labels: NDArray[np.int64], components: NDArray[np.int64], names: Sequence[str] | None
) -> str:
    """The table of classes by components; matched pairs stand on the diagonal.

    Example:
        >>> print(contingency(np.array([0, 0, 1]), np.array([1, 1, 0]), ["cat", "dog"]))
        class  component 1  component 0
          cat            2            0
          dog            0            1
    """
    table = contingency_table(labels, components)
    classes = [str(c) if names is None else names[c] for c in table.classes]
    rows = [["class", *(f"component {k}" for k in table.components)]]
    rows += [[c, *map(str, counts)] for c, counts in zip(classes, table.counts, strict=True)]
    return align(rows)
