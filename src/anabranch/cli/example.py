"""`anabranch example`: data to try the other commands on."""

from pathlib import Path
from typing import Annotated

import typer


def example(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="File to write: .csv or .parquet for a table, .npy for pictures.",
        ),
    ],
) -> None:
    """Write data to try the other commands on.

    A table has 2560 rows of five bent wings: the columns x and y, and wing, the class of each row.
    Pictures are 1797 digits of 8 x 8 pixels, whole numbers from 0 to 16.
    """
    from anabranch.cli.paths import check_files
    from anabranch.cli.text import say

    check_files([], {"FILE": output})
    rows = _pictures(output) if output.suffix.lower() == ".npy" else _wings(output)
    say(f"wrote {rows} to {output}")


def _wings(path: Path) -> str:
    from anabranch.data import write_table
    from anabranch.problems import Pinwheel

    X, wing = Pinwheel().sample_per_component(512, random_state=0)
    write_table(path, {"x": X[:, 0], "y": X[:, 1], "wing": wing})
    return f"{len(X)} rows"


def _pictures(path: Path) -> str:
    import numpy as np
    from sklearn.datasets import load_digits

    from anabranch.data.atomic import atomic_write

    rows, _ = load_digits(return_X_y=True)
    pictures = rows.reshape(-1, 8, 8).astype(np.uint8)
    with atomic_write(path) as file:
        np.save(file, pictures)
    return f"{len(pictures)} pictures"
