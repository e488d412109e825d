"""Autoregressive image models on scikit-learn's digits, 8 x 8 pixels of 17 grey levels."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from anabranch.data import load_sklearn
from anabranch.distributions import AutoregressiveModel, Categorical
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.pixel_training import classified, make_model, mean_nll, train
from anabranch.metrics import bits_per_dim
from anabranch.networks import MADE
from anabranch.objectives import Likelihood
from anabranch.training import FitOptions, fit

SHAPE, LEVELS, CLASSES = (1, 8, 8), 17, 10
SHARED: dict[str, Any] = {"levels": LEVELS, "position": True, "first_kernel": 5}
RECIPES: dict[str, dict[str, Any]] = {
    "pixelcnn": {"name": "pixelcnn", "channels": 48, "n_blocks": 3, **SHARED},
    "gated": {"name": "gated_pixelcnn", "channels": 24, "n_layers": 3, **SHARED},
    "row_lstm": {"name": "row_lstm", "channels": 48, "n_layers": 1, **SHARED},
    "diagonal": {"name": "diagonal_bilstm", "channels": 48, "n_layers": 1, **SHARED},
    "logistics": {
        "name": "gated_pixelcnn",
        "channels": 24,
        "n_layers": 3,
        "head": "logistics",
        "components": 5,
        **SHARED,
    },
}
REPORTED = ("histogram", "made", *RECIPES, "told")
MADE_HIDDEN = 32
OPTIONS = FitOptions(
    max_epochs=30, batch_size=36, learning_rate=3e-3, average=0.98, patience=None, progress=False
)


class Bits(NamedTuple):
    """Bits per dimension of test digits, accuracy of Bayes' rule, and processor seconds."""

    seed: int
    histogram: float
    made: float
    pixelcnn: float
    gated: float
    row_lstm: float
    diagonal: float
    logistics: float
    told: float
    accuracy: float
    cpu_s: float


@experiment(
    "pixel-digits", seeds=1, summary="PixelCNN, Row LSTM and Diagonal BiLSTM on digits of 8 x 8"
)
def pixel_digits(run: Run) -> Outcome:
    """Bits per dimension of test digits, beside MADE and the histograms of single pixels.

    The order is that of the paper, up to the noise of so few digits.

    A class-conditional Gated PixelCNN is a classifier by Bayes' rule.
    """
    rows = per_seed(run.seeds, bits)
    figures = [
        Figure(f"{name}, bits/dim below MADE", rows.mean("made") - rows.mean(name), 0.0, "higher")
        for name in RECIPES
    ]
    ordered = (("row_lstm", "pixelcnn"), ("diagonal", "row_lstm"))
    figures += [
        Figure(f"{a} less {b}, bits/dim", rows.mean(a) - rows.mean(b), 0.02, "lower")
        for a, b in ordered
    ]
    figures += [
        Figure("accuracy of argmax p(x given class)", rows.mean("accuracy"), 0.9, "higher"),
        *(Figure(f"{name}, bits/dim", rows.mean(name)) for name in REPORTED),
    ]
    return Outcome(figures, {"recipes": RECIPES, "fit": OPTIONS.trajectory()}, rows.table())


def bits(seed: int) -> Bits:
    """All recipes on 60, 20 and 20 per cent of the digits in the order of the seed."""
    table = load_sklearn("digits")
    order = np.random.RandomState(seed).permutation(len(table.X))
    x = torch.as_tensor(np.asarray(table.X)[order], dtype=torch.float32).reshape(-1, *SHAPE)
    y = torch.as_tensor(np.asarray(table.labels)[order])
    sizes = [1080, 360, len(x) - 1440]
    (first, second, test), labels = x.split(sizes), y.split(sizes)
    found, seconds = {}, 0.0
    for name, recipe in RECIPES.items():
        model = make_model(recipe, SHAPE, seed)
        trained = train(model, {"x": first}, {"x": second}, OPTIONS, seed=seed)
        found[name] = _bits(mean_nll(trained.model, test))
        seconds += trained.cpu_s
    told = [
        {"x": part, "context": one_hot(own, CLASSES).float()}
        for part, own in zip((first, second, test), labels, strict=True)
    ]
    model = make_model({**RECIPES["gated"], "context_features": CLASSES}, SHAPE, seed)
    model = train(model, told[0], told[1], OPTIONS, seed=seed).model
    accuracy = float((classified(model, test, CLASSES) == labels[2]).float().mean())
    own = _bits(mean_nll(model, **told[2]))
    known = _bits(histogram_nll(first, test)), made_bits(first, second, test, seed)
    return Bits(seed, *known, **found, told=own, accuracy=accuracy, cpu_s=seconds)


def made_bits(first: Tensor, second: Tensor, test: Tensor, seed: int) -> float:
    """Bits per dimension of MADE with a softmax, of about as many parameters as the others."""
    generator = torch.Generator().manual_seed(seed)
    network = MADE(64, LEVELS, (MADE_HIDDEN,), generator=generator)
    model = AutoregressiveModel(network, Categorical(LEVELS), 64)
    fit(
        Likelihood(model),
        {"x": first.flatten(1)},
        {"x": second.flatten(1)},
        options=OPTIONS,
        generator=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        return _bits(-float(model.log_prob(test.flatten(1)).mean()))


def histogram_nll(train: Tensor, test: Tensor) -> float:
    """Mean nats under the histogram of each pixel, with Laplace's correction."""
    counts = one_hot(train.long(), LEVELS).sum(0) + 1.0
    logs = (counts / counts.sum(-1, keepdim=True)).log()
    return -float((one_hot(test.long(), LEVELS) * logs).flatten(1).sum(1).mean())


def _bits(nll: float) -> float:
    return bits_per_dim(-nll, 64)
