"""Images and their labels, as the experiments read them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anabranch.data import read_tables
from anabranch.experiments import Run

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

KINDS = ("images-idx3", "labels-idx1")


def files(run: Run, folder: str, part: str) -> list[Path]:
    """The files of images and of labels.

    Raises:
        FileNotFoundError: where they are not there.
    """
    return [run.path(folder, f"{part}-{kind}-ubyte.gz") for kind in KINDS]


def images(run: Run, folder: str, part: str, n_classes: int = 10) -> tuple[Array, Labels]:
    """Pixels and labels of a data set in the format of MNIST; labels serve for scoring only.

    Where settings are chosen, the last sixth of the training images stands for the test part.

    Args:
        run: knows where the data sets are.
        folder: "mnist" or "fashion-mnist".
        part: "train" or "t10k".
        n_classes: only images of the first classes.

    Raises:
        FileNotFoundError: where the files are not there.
        ValueError: for files without labels.
    """
    table = read_tables(files(run, folder, "train" if run.tuning else part))
    if table.labels is None:
        raise ValueError(f"the {part} files of {folder} hold no labels")
    few = table.labels < n_classes
    if run.tuning:
        held_out = np.arange(len(few)) >= len(few) * 5 // 6
        few &= held_out if part == "t10k" else ~held_out
    return table.X[few].astype(np.float64), table.labels[few]
