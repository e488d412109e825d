"""NVISA in bfloat16 beside float32: the bound after ten epochs, and the time."""

import time
from typing import Any

import numpy as np
import torch

from anabranch.estimators import DeepMixture
from anabranch.experiments.image_data import Array, images
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table

K, TOLERANCE, SCORED_ROWS = 10, 0.005, 500
SETTINGS: dict[str, Any] = {
    "levels": 256,
    "hidden": [500, 500],
    "samples": 15,
    "init_epochs": 10,
    "max_epochs": 10,
    "std_first": 0.1,
}
ROWS = {"cpu": 10_000, "full": 60_000}
HEADER = ["seed", "bound", "in bfloat16", "log p(x)", "by weights of bfloat16", "s", "s, bfloat16"]


@experiment(
    "nvisa-half",
    seeds=2,
    summary="NVISA on MNIST in bfloat16 and in float32: bounds after ten epochs, and seconds",
    needs_data=True,
)
def nvisa_half(run: Run) -> Outcome:
    """The trained bound on held-out rows, and log p(x) of others by importance sampling."""
    X, _ = images(run, "mnist", "train")
    rows = np.array([_row(X, ROWS[run.budget], seed) for seed in run.seeds])
    (exact, half), (score, read) = rows[:, 1:3].T, rows[:, 3:5].T
    worst = float(np.abs(half / exact - 1).max())
    figures = [
        Figure("largest difference of the bound, relative", worst, TOLERANCE, "lower"),
        Figure("mean bound in float32, nats", float(exact.mean())),
        Figure("largest loss of log p(x) by the weights, nats", float((score - read).max())),
        Figure("seconds of a fit, float32 over bfloat16", float((rows[:, 5] / rows[:, 6]).mean())),
    ]
    table = text_table(HEADER, [[int(row[0]), *row[1:]] for row in rows])
    return Outcome(figures, {"K": K, "rows": ROWS[run.budget], **SETTINGS}, table)


def _row(X: Array, n_rows: int, seed: int) -> list[float]:
    X = X[np.random.RandomState(seed).permutation(len(X))[: n_rows + SCORED_ROWS]]
    models = [_fit(X[:n_rows], seed, half=half) for half in (False, True)]
    bounds = [model.lower_bound_ for model, _ in models]
    scores = [model.score(X[n_rows:]) for model, _ in models]
    return [seed, *bounds, *scores, *(seconds for _, seconds in models)]


def _fit(X: Array, seed: int, *, half: bool) -> tuple[Any, float]:
    started = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    how: dict[str, Any] = {"half_precision": half, "device": device, "random_state": seed}
    model = DeepMixture(K, **SETTINGS, **how).fit(X)
    return model, time.perf_counter() - started
