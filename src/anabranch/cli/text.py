"""Text in columns.

Not by rich, which typer brings: where output is no terminal its tables take 80 columns, and cut or
wrap what is longer (settings, names of columns, `anabranch models`), so that grep finds half of it.
"""

from collections.abc import Mapping, Sequence


def align(rows: Sequence[Sequence[str]]) -> str:
    """Cells as columns of text, to the right.

    Example:
        >>> print(align([["a", "bb"], ["ccc", "d"]]))
          a  bb
        ccc   d
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(lines)


def listing(pairs: Mapping[str, str]) -> str:
    """Names and values, one pair a line.

    Example:
        >>> print(listing({"rows": "3", "components": "2"}))
        rows        3
        components  2
    """
    width = max(map(len, pairs))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs.items())
