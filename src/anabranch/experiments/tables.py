"""Tables that experiments print.

Not by `rich`: where output is no terminal it folds and cuts cells to fit 80 columns, and tables of
eleven numbers lose their digits in a log.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.metrics import contingency_table


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A plain table; numbers get three digits, the first column is left-aligned.

    Example:
        >>> print(text_table(["name", "ACC"], [["k-means", 0.93]]))
        name       ACC
        k-means  0.930
    """
    cells = [list(header)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[j]) for row in cells) for j in range(len(header))]
    lines = []
    for row in cells:
        first, rest = row[0].ljust(widths[0]), row[1:]
        lines.append(
            "  ".join([first, *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])
        )
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def contingency_text(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> str:
    """Counts of classes in clusters; the cluster that is matched to a class is on the diagonal.

    Example:
        >>> print(contingency_text(np.array([0, 0, 1]), np.array([1, 1, 0])))
        class  c1  c0
        0       2   0
        1       0   1
    """
    table = contingency_table(labels, clusters)
    header = ["class", *(f"c{c}" for c in table.components)]
    counts = zip(table.classes, table.counts, strict=True)
    return text_table(header, [[str(label), *map(int, row)] for label, row in counts])
