"""CIFAR-10 as the folder of data sets holds it: residuals of a predictor, packed by xz."""

import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anabranch.experiments import Run

Bytes = NDArray[np.uint8]
SIDE, BATCHES = 32, 5


def cifar_images(run: Run, part: str, n_batches: int = BATCHES) -> Bytes:
    """Images (n, 3, 32, 32) of bytes.

    Where settings are chosen, the last 2500 images of the fifth batch stand for the test part, and
    are left out of the training part.

    Args:
        run: knows where the data sets are.
        part: "train" or "test".
        n_batches: how many batches of 10 000 images of the training part.

    Raises:
        FileNotFoundError: where the files are not there.
    """
    if part == "test":
        name = f"train{BATCHES}" if run.tuning else "test"
        x = decoded(run.path("cifar10", f"{name}.med.xz"))
        return x[-2500:] if run.tuning else x
    batches = range(1, n_batches + 1)
    x = np.concatenate([decoded(run.path("cifar10", f"train{b}.med.xz")) for b in batches])
    return x[:-2500] if run.tuning and n_batches == BATCHES else x


def decoded(path: Path) -> Bytes:
    """The images (n, 3, 32, 32) of one file.

    Its bytes are planes G, R - G and B - G, each as what the median of the left and the upper
    neighbour and their plane through the corner (LOCO-I) leaves of it.

    Source: Weinberger, Seroussi, Sapiro (2000), "The LOCO-I lossless image compression algorithm".
    """
    rest = np.frombuffer(lzma.decompress(path.read_bytes()), np.uint8)
    rest = rest.reshape(3, -1, SIDE, SIDE).astype(np.int16)
    planes = np.zeros((3, rest.shape[1], SIDE + 1, SIDE + 1), np.int16)
    for r in range(SIDE):
        for c in range(SIDE):
            above, left = planes[..., r, c + 1], planes[..., r + 1, c]
            corner = planes[..., r, c]
            low, high = np.minimum(above, left), np.maximum(above, left)
            guess = np.where(corner <= low, high, above + left - corner)
            guess = np.where(corner >= high, low, guess)
            planes[..., r + 1, c + 1] = (rest[..., r, c] + guess) & 255
    green, red, blue = planes[..., 1:, 1:]
    colours = [(red + green - 128) & 255, green, (blue + green - 128) & 255]
    return np.stack(colours, 1).astype(np.uint8)
