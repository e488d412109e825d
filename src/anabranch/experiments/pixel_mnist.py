"""Gated PixelCNN on binarised MNIST: log-probability, classes by Bayes' rule, completions."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from anabranch.distributions import PixelModel
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import Array, Labels, images
from anabranch.experiments.pictures import image_sheet
from anabranch.experiments.pixel_training import (
    classified,
    in_parts,
    make_model,
    mean_nll,
    nearest,
    train,
)
from anabranch.training import FitOptions

SHAPE, CLASSES = (1, 28, 28), 10
# Van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.
PUBLISHED = {"PixelCNN": 81.3, "Row LSTM": 80.5, "Diagonal BiLSTM": 79.2}
RECIPE: dict[str, Any] = {
    "name": "gated_pixelcnn",
    "channels": 32,
    "n_layers": 5,
    "kernel_size": 5,
    "position": True,
}
# A part of the images between two scores. On a processor with bfloat16 a step of 32 images takes
# about 0.2 seconds of one thread: the first run some half hour of it, the second two thirds.
PART, CHOSEN = 10_000, 500
BUDGETS: dict[str, dict[str, Any]] = {
    "cpu": {"parts": 27, "parts_told": 18, "scored": 2000},
    "full": {"parts": 240, "parts_told": 120, "scored": 10_000},
}
OPTIONS = FitOptions(
    batch_size=32, learning_rate=2e-3, average=0.999, clip_norm=50.0, patience=None, progress=False
)
SHOWN = 10


class Score(NamedTuple):
    """Nats of binarised test digits, the share that Bayes' rule puts into its class; seconds.

    Last the models and the training images, for pictures.
    """

    seed: int
    nll: float
    told: float
    accuracy: float
    cpu_s: float
    told_cpu_s: float
    kept: tuple[Any, Any]


@experiment(
    "pixel-mnist",
    seeds=1,
    summary="Gated PixelCNN on binarised MNIST, alone and told the class",
    needs_data=True,
)
def pixel_mnist(run: Run) -> Outcome:
    """Mean negative log-probability of all test digits; argmax p(x given class) on some.

    A pixel is drawn once as one with the probability of its grey level.
    """
    train_set, test_set = images(run, "mnist", "train"), images(run, "mnist", "t10k")
    budget = {"budget": run.budget, **BUDGETS[run.budget]}
    rows = per_seed(run.seeds, score, budget, train_set, test_set)
    figures = [
        Figure("Gated PixelCNN, nats", rows.mean("nll"), 83.0, "lower"),
        Figure("accuracy of argmax p(x given class)", rows.mean("accuracy"), 0.97, "higher"),
        Figure("told the class, nats", rows.mean("told")),
        *(Figure(f"{name}, published, nats", nats) for name, nats in PUBLISHED.items()),
        Figure("processor seconds of the training", rows.mean("cpu_s")),
        Figure("processor seconds of the training, told the class", rows.mean("told_cpu_s")),
    ]
    settings = {"recipe": RECIPE, "fit": OPTIONS.trajectory(), **budget}
    return Outcome(figures, settings, rows.table(), _pictures(*rows[0].kept, run.seeds[0]))


def score(
    seed: int,
    budget: dict[str, Any],
    train_set: tuple[Array, Labels],
    test_set: tuple[Array, Labels],
) -> Score:
    """Train both models on all but the images that choose."""
    random = np.random.RandomState(seed)
    x, test = binarised(train_set[0], random), binarised(test_set[0], random)
    y, labels = (torch.as_tensor(part[1]) for part in (train_set, test_set))
    alone, told = {"x": x}, {"x": x, "context": one_hot(y, CLASSES).float()}
    model, seconds = _fitted(alone, budget["parts"], seed, budget["budget"])
    conditional, told_seconds = _fitted(told, budget["parts_told"], seed, budget["budget"])
    some = slice(budget["scored"])
    guessed = classified(conditional, test[some], CLASSES)
    context = one_hot(labels[some], CLASSES).float()
    return Score(
        seed,
        mean_nll(model, test),
        mean_nll(conditional, test[some], context),
        float((guessed == labels[some]).float().mean()),
        seconds,
        told_seconds,
        (model, x),
    )


def binarised(X: Array, random: np.random.RandomState) -> Tensor:
    """Bits, one with the probability of the grey level, as images."""
    bits = random.random_sample(X.shape) < X / 255
    return torch.as_tensor(bits, dtype=torch.float32).reshape(-1, *SHAPE)


def _fitted(
    data: dict[str, Tensor], n_parts: int, seed: int, budget: str
) -> tuple[PixelModel, float]:
    context = data.get("context")
    recipe = RECIPE if context is None else {**RECIPE, "context_features": context.shape[1]}
    first = {name: rows[:-CHOSEN] for name, rows in data.items()}
    trained = train(
        make_model(recipe, SHAPE, seed, budget),
        first,
        {name: rows[-CHOSEN:] for name, rows in data.items()},
        replace(OPTIONS, max_epochs=n_parts),
        seed=seed,
        half=True,
        on_epoch=in_parts(len(first["x"]), PART, seed),
    )
    return trained.model, trained.cpu_s


def _pictures(model: PixelModel, x: Tensor, seed: int) -> dict[str, bytes]:
    """Samples, the nearest training images below; cold samples; halves and what they may become."""
    model, generator = model.cpu(), torch.Generator().manual_seed(seed)
    samples = model.sample(SHOWN, generator=generator)
    cold = model.tempered(0.7).sample(SHOWN, generator=generator)
    given = x[-SHOWN:]
    halves = torch.where(torch.arange(SHAPE[1])[:, None] < SHAPE[1] // 2, given, 0.5)
    completed = [model.complete(given, SHAPE[1] // 2, generator=generator) for _ in range(3)]
    rows = [samples, nearest(samples, x), cold, halves, *completed]
    return {"samples.png": image_sheet([row.numpy() for row in rows], 2)}
