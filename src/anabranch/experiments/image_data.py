"""Images and their labels, as the experiments read them."""

import numpy as np
from numpy.typing import NDArray

from anabranch.data import read_tables
from anabranch.experiments.outcome import Run

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

KINDS = ("images-idx3", "labels-idx1")


def images(run: Run, folder: str, part: str) -> tuple[Array, Labels]:
    """Pixels and labels of a data set in the format of MNIST; labels serve for scoring only.

    Args:
        run: knows where the data sets are.
        folder: "mnist" or "fashion-mnist".
        part: "train" or "t10k".

    Raises:
        FileNotFoundError: where the files are not there.
        ValueError: for files without labels.
    """
    files = [run.path(folder, f"{part}-{kind}-ubyte.gz") for kind in KINDS]
    table = read_tables(files)
    if table.labels is None:
        raise ValueError(f"{files[1]} holds no labels")
    return table.X.astype(np.float64), table.labels
