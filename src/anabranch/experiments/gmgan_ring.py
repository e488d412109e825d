"""Eight Gaussians on a ring, by GM-GAN and by a network over one Gaussian."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.metrics import clustering_accuracy
from anabranch.models import gmgan
from anabranch.problems import draw_around, gaussian_ring
from anabranch.procedures import TrainingRun, fit_gmgan
from anabranch.training import FitOptions
from anabranch.training.threads import threads_for

Array = NDArray[np.float64]
K, ROWS, DRAWN = 8, 5000, 4000
RADIUS, STD = 2.0, 0.05
CENTERS = gaussian_ring(K, RADIUS, STD).means
# A mode is covered by a quarter of its share of draws within four standard deviations.
SHARE, REACH = 0.25, 4.0
NETWORK: dict[str, Any] = {"latent": 4, "hidden": [64, 64]}
MIXTURE: dict[str, Any] = {"n_components": K, "scale": 0.1}
PLAIN: dict[str, Any] = {"n_components": 1, "spread": 0.0, "scale": 1.0}
FIT: dict[str, Any] = {"max_epochs": 80, "batch_size": 128, "learning_rate": 2e-3}


class Drawn(NamedTuple):
    """Accuracy, modes and the share of draws near one, beside a plain GAN; processor seconds."""

    seed: int
    acc: float
    modes: int
    near_a_mode: float
    plain_modes: int
    plain_near_a_mode: float
    s: float


@experiment("gmgan-ring", seeds=3, summary="GM-GAN on eight Gaussians, beside a plain GAN")
def gmgan_ring(run: Run) -> Outcome:
    """Clusters of rows, and how many modes are drawn."""
    rows = per_seed(run.seeds, drawn)
    best = max(rows, key=lambda row: row.acc)
    more = float(rows.gain("modes", over="plain_modes").mean())
    nearer = float(rows.gain("near_a_mode", over="plain_near_a_mode").mean())
    figures = [
        Figure("best ACC of the classifier", best.acc, 0.9, "higher"),
        Figure("mean ACC of the classifier", rows.mean("acc")),
        Figure("modes covered in the best run", best.modes, K, "higher"),
        Figure("mean modes covered", rows.mean("modes")),
        Figure("mean modes covered less those of N(0, I)", more, 1.0, "higher"),
        Figure("share of draws near a mode less that of N(0, I)", nearer, 0.0, "higher"),
        Figure("mean share of draws near a mode", rows.mean("near_a_mode")),
        Figure("the same of N(0, I)", rows.mean("plain_near_a_mode")),
        Figure("processor seconds per seed, both networks", rows.mean("s")),
    ]
    settings = {"n": ROWS, "K": K, "radius": RADIUS, "std": STD, **NETWORK, **FIT}
    settings["scale"] = MIXTURE["scale"]
    return Outcome(figures, settings, rows.table())


def drawn(seed: int) -> Drawn:
    """Fit both networks to one draw of the ring, and draw from them."""
    started = time.process_time()
    X, labels = draw_around(CENTERS, STD, ROWS, random_state=seed)
    mixture, accuracy = _fitted(X, labels, seed, MIXTURE)
    plain, _ = _fitted(X, labels, seed, PLAIN)
    seconds = time.process_time() - started
    return Drawn(seed, accuracy, *covered(mixture), *covered(plain), seconds)


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


def covered(drawn: Array) -> tuple[int, float]:
    """How many modes are covered, and the share of draws near one."""
    distances = np.linalg.norm(drawn[:, None] - CENTERS, axis=-1)
    near = distances.min(1) < REACH * STD
    counts = np.bincount(distances.argmin(1)[near], minlength=K)
    return int((counts >= SHARE * len(drawn) / K).sum()), float(near.mean())
