"""Sampling 64 images of 28 x 28 by Gated PixelCNN, beside a full pass for each of their numbers.

Full passes would take many minutes: a few are timed, between samples, and multiplied by 784. Both
run in evaluation mode, on one thread. The draws are the same, as the tests of `PixelModel` show.
"""

import time
from collections.abc import Callable
from math import prod
from statistics import median

import torch

from anabranch.experiments import Figure
from anabranch.models import diagonal_bilstm, gated_pixelcnn, pixelcnn, row_lstm
from benchmarks.recording import record

IMAGES, SHAPE, ROUNDS = 64, (1, 28, 28), 5
RECIPES = {
    "gated_pixelcnn": gated_pixelcnn,
    "pixelcnn": pixelcnn,
    "row_lstm": row_lstm,
    "diagonal_bilstm": diagonal_bilstm,
}


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


@torch.no_grad()
def compared(name: str) -> tuple[float, float]:
    """Seconds of one sample of all images, and of as many full passes as an image has numbers."""
    model = RECIPES[name](SHAPE, seed=0).eval()
    x = model.sample(IMAGES)
    full, cached = [], []
    for _ in range(ROUNDS):
        full.append(seconds(lambda: model.parameters_of(x)))
        cached.append(seconds(lambda: model.sample(IMAGES)))
    return median(cached), median(full) * prod(SHAPE)


def run() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    for name in RECIPES:
        cached, full = compared(name)
        print(f"{name:16s} {cached:6.2f} s, full passes {full:7.1f} s, {full / cached:5.0f} times")
        target = (100.0, "higher") if name == "gated_pixelcnn" else ()
        figures += [
            Figure(f"{name}, times faster than full passes", full / cached, *target),
            Figure(f"{name}, processor seconds for {IMAGES} images", cached),
        ]
    return figures


if __name__ == "__main__":
    record("bench-pixel-sampling", __doc__, run, settings={"images": IMAGES, "shape": SHAPE})
