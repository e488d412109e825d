"""Text in columns.

Not by rich, which typer brings: where output is no terminal its tables take 80 columns, and cut or
wrap what is longer (settings, names of columns, `anabranch models`), so that grep finds half of it.
"""

from collections.abc import Mapping, Sequence
from unicodedata import category

import typer


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    typer.echo(plain(text), err=err)


def plain(text: str) -> str:
    r"""Text of files without what a terminal would obey: each such character as its escape.

    Example:
        >>> print(plain("\x1b[31mred\n"))
        \x1b[31mred\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Cells as columns of text, to the right.

    Example:
        >>> print(align([["a", "bb"], ["ccc", "d"]]))
          a  bb
        ccc   d
    """
    rows = [[plain(cell) for cell in row] for row in rows]
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
    shown = {plain(name): plain(value) for name, value in pairs.items()}
    width = max(map(len, shown))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in shown.items())
