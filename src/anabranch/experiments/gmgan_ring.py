"""Eight Gaussians on a ring, by GM-GAN and by a network over one Gaussian."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy
from anabranch.models import gmgan
from anabranch.procedures import TrainingRun, fit_gmgan
from anabranch.training import FitOptions
from anabranch.training.threads import threads_for

Array = NDArray[np.float64]
K, ROWS, DRAWN = 8, 5000, 4000
RADIUS, STD = 2.0, 0.05
# A mode is covered by a quarter of its share of draws within four standard deviations.
SHARE, REACH = 0.25, 4.0
NETWORK: dict[str, Any] = {"latent": 4, "hidden": [64, 64]}
MIXTURE: dict[str, Any] = {"n_components": K, "scale": 0.1}
PLAIN: dict[str, Any] = {"n_components": 1, "spread": 0.0, "scale": 1.0}
FIT: dict[str, Any] = {"max_epochs": 80, "batch_size": 128, "learning_rate": 2e-3}
HEADER = ["seed", "ACC", "modes", "near a mode", "modes, N(0, I)", "near a mode, N(0, I)", "s"]


@experiment("gmgan-ring", seeds=3, summary="GM-GAN on eight Gaussians, beside a plain GAN")
def gmgan_ring(run: Run) -> Outcome:
    """Clusters of rows, and how many modes are drawn."""
    rows = np.array([_row(seed) for seed in run.seeds])
    accuracy, modes, near, plain, plain_near, seconds = rows[:, 1:].T
    figures = [
        Figure("best ACC of the classifier", accuracy.max(), 0.9, "higher"),
        Figure("mean ACC of the classifier", accuracy.mean()),
        Figure("modes covered in the best run", modes[accuracy.argmax()], K, "higher"),
        Figure("mean modes covered", modes.mean()),
        Figure("mean modes covered less those of N(0, I)", (modes - plain).mean(), 0.0, "higher"),
        Figure("mean share of draws near a mode", near.mean()),
        Figure("the same of N(0, I)", plain_near.mean()),
        Figure("processor seconds per seed, both networks", seconds.mean()),
    ]
    settings = {"n": ROWS, "K": K, "radius": RADIUS, "std": STD, **NETWORK, **FIT}
    settings["scale"] = MIXTURE["scale"]
    table = text_table(HEADER, [[int(row[0]), *row[1:]] for row in rows])
    return Outcome(figures, settings, table)


def _row(seed: int) -> list[float]:
    started = time.process_time()
    X, labels = ring(seed)
    mixture, accuracy = _fitted(X, labels, seed, MIXTURE)
    plain, _ = _fitted(X, labels, seed, PLAIN)
    seconds = time.process_time() - started
    return [seed, accuracy, *covered(mixture), *covered(plain), seconds]


def _fitted(
    X: Array, labels: NDArray[np.int64], seed: int, settings: dict[str, Any]
) -> tuple[Array, float]:
    """Draws of a network in the units of the rows, and the accuracy of its classifier."""
    scale = X.std(0)
    x = torch.tensor(X / scale, dtype=torch.float32)
    source = torch.Generator().manual_seed(seed)
    model = gmgan(2, **settings, **NETWORK, seed=seed)
    with threads_for(0):
        fit_gmgan(model, x, TrainingRun(FitOptions(**FIT, progress=False), source))
    found = model.responsibilities(x).argmax(0).numpy()
    drawn = model.sample(DRAWN, generator=source).double().numpy() * scale
    return drawn, clustering_accuracy(labels, found)


def ring(seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Rows (ROWS, 2) and their modes."""
    random = np.random.RandomState(seed)
    labels = random.randint(K, size=ROWS)
    return centers()[labels] + STD * random.normal(size=(ROWS, 2)), labels


def centers() -> Array:
    """The modes, (K, 2)."""
    angles = 2 * np.pi * np.arange(K) / K
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def covered(drawn: Array) -> tuple[int, float]:
    """How many modes are covered, and the share of draws near one."""
    distances = np.linalg.norm(drawn[:, None] - centers(), axis=-1)
    near = distances.min(1) < REACH * STD
    counts = np.bincount(distances.argmin(1)[near], minlength=K)
    return int((counts >= SHARE * len(drawn) / K).sum()), float(near.mean())
