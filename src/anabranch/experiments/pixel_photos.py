"""Local autoregressive models on photographs: bits per dimension beside those of JPEG XL."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.cifar import cifar_images
from anabranch.experiments.image_data import images
from anabranch.experiments.pictures import image_sheet
from anabranch.experiments.pixel_training import in_parts, make_model, mean_nll, nearest, train
from anabranch.metrics import bits_per_dim
from anabranch.training import FitOptions

LEVELS, SHOWN, CHOSEN = 256, 8, 256
# One wide convolution, and 1 x 1 after it: what a pixel is told by far is little, and a product of
# matrices is what a processor does best.
GREY: dict[str, Any] = {
    "name": "pixelcnn",
    "levels": LEVELS,
    "channels": 192,
    "n_blocks": 2,
    "kernel_size": 1,
    "first_kernel": 13,
    "position": True,
}
COLOUR: dict[str, Any] = {
    "name": "gated_pixelcnn",
    "levels": LEVELS,
    "head": "logistics",
    "components": 5,
    "channels": 48,
    "n_layers": 5,
    "first_kernel": 5,
}


class Task(NamedTuple):
    """Images, the recipe, and the bits per dimension to reach."""

    name: str
    recipe: dict[str, Any]
    target: float
    jpeg_xl: float
    part: int
    parts: int
    batch_size: int


# JPEG XL 0.11 by its effort 9 and 7, all test images as one mosaic.
FASHION = Task("Fashion-MNIST", GREY, 3.20, 3.661, 8000, 14, 16)
CIFAR = Task("CIFAR-10", COLOUR, 3.91, 3.906, 2000, 18, 16)
LONGER = 8  # how much longer the full budget is
OPTIONS = FitOptions(
    learning_rate=1e-3, average=0.999, clip_norm=None, patience=None, progress=False
)


class Score(NamedTuple):
    """Bits per dimension of test images, processor seconds, and what pictures need."""

    seed: int
    bits: float
    cpu_s: float
    kept: tuple[Any, Any]


@experiment("pixel-fashion", seeds=1, summary="a local PixelCNN on Fashion-MNIST", needs_data=True)
def pixel_fashion(run: Run) -> Outcome:
    """Bits per dimension of all test images, as integers: nothing is dequantized."""
    return photos(run, FASHION)


@experiment(
    "pixel-cifar10", seeds=1, summary="Gated PixelCNN on CIFAR-10 in full colour", needs_data=True
)
def pixel_cifar10(run: Run) -> Outcome:
    """Bits per dimension of 2500 test images, as integers: nothing is dequantized."""
    return photos(run, CIFAR)


def read(run: Run, task: Task, part: str) -> Tensor:
    """Images (n, C, H, W) of bytes; of colour photographs 2500 to be tested on."""
    if task is CIFAR:
        found = cifar_images(run, part)
        return torch.as_tensor(found[:2500] if part == "test" else found)
    rows = images(run, "fashion-mnist", "t10k" if part == "test" else part)[0]
    return torch.as_tensor(rows, dtype=torch.uint8).reshape(-1, 1, 28, 28)


def photos(run: Run, task: Task) -> Outcome:
    """Train on one set of images, and score the test images."""
    rows = per_seed(run.seeds, score, task, run)
    figures = [
        Figure("bits/dim", rows.mean("bits"), task.target, "lower"),
        Figure("bits/dim of JPEG XL, for comparison", task.jpeg_xl),
        Figure("processor seconds of the training", rows.mean("cpu_s")),
    ]
    settings = {**task._asdict(), "fit": OPTIONS.trajectory(), "longer": LONGER}
    return Outcome(figures, settings, rows.table(), _pictures(*rows[0].kept, run.seeds[0]))


def score(seed: int, task: Task, run: Run) -> Score:
    """Train on all but the images that choose."""
    x, test = (read(run, task, part) for part in ("train", "test"))
    model = make_model(task.recipe, tuple(x.shape[1:]), seed, run.budget)
    first = x[:-CHOSEN].float()
    longer = LONGER if run.budget == "full" else 1
    options = replace(OPTIONS, max_epochs=longer * task.parts, batch_size=task.batch_size)
    trained = train(
        model,
        {"x": first},
        {"x": x[-CHOSEN:].float()},
        options,
        seed=seed,
        half=True,
        on_epoch=in_parts(len(first), task.part, seed),
    )
    bits = bits_per_dim(-mean_nll(trained.model, test.float()), test[0].numel())
    return Score(seed, bits, trained.cpu_s, (trained.model, first[:10_000]))


def _pictures(model: Any, x: Tensor, seed: int) -> dict[str, bytes]:
    """Samples, the nearest training images below, and lower halves given the upper ones."""
    model, generator = model.cpu(), torch.Generator().manual_seed(seed)
    samples, half = model.sample(SHOWN, generator=generator), x.shape[2] // 2
    completed = model.complete(x[:SHOWN], half, generator=generator)
    rows = [samples, nearest(samples, x), x[:SHOWN], completed]
    return {"samples.png": image_sheet([row.numpy() for row in rows], LEVELS)}
