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
    "objective": {"name": "vimco", "samples": 15},
    "start": {"name": "autoencoder", "epochs": 10},
    "max_epochs": 10,
}
SCHEDULE = {"std_first": 0.1}
ROWS = {"cpu": 10_000, "full": 60_000}
# The third differs from the first by its matrix kernels alone: how far rounding leads by itself.
FITS: dict[str, dict[str, Any]] = {
    "float32": {"schedule": SCHEDULE},
    "bfloat16": {"schedule": {**SCHEDULE, "half_precision": True}},
    "float32, torch's kernels": {"schedule": SCHEDULE, "fit_options": {"matmul": "default"}},
}
HEADER = ["seed", *(f"bound, {name}" for name in FITS), "log p(x)", "by weights of bfloat16"]


@experiment(
    "nvisa-half",
    seeds=4,
    summary="NVISA on MNIST in bfloat16 and in float32: bounds after ten epochs, and seconds",
    needs_data=True,
)
def nvisa_half(run: Run) -> Outcome:
    """The trained bound on held-out rows, and log p(x) of others by importance sampling.

    Labels are drawn in training: where rounding changes one, the runs part. The differences of
    runs that are in float32 both stand beside those by bfloat16, and their mean over seeds.
    """
    X, _ = images(run, "mnist", "train")
    found = [_row(X, ROWS[run.budget], seed) for seed in run.seeds]
    bounds = np.array([bounds for bounds, _, _ in found])
    scores = np.array([scores for _, scores, _ in found])
    seconds = np.array([seconds for _, _, seconds in found])
    half, other = (bounds[:, 1:] / bounds[:, :1] - 1).T
    worst = float(np.abs(half).max())
    figures = [
        Figure("largest difference of the bound, relative", worst, TOLERANCE, "lower"),
        Figure("mean over seeds of the same, with its sign", float(half.mean())),
        Figure("largest difference of float32 by other kernels", float(np.abs(other).max())),
        Figure("mean bound in float32, nats", float(bounds[:, 0].mean())),
        Figure("mean loss of log p(x) by the weights, nats", float((scores @ [1, -1]).mean())),
        Figure(
            "seconds of a fit, float32 over bfloat16", float((seconds[:, 0] / seconds[:, 1]).mean())
        ),
    ]
    rows = [[seed, *b, *s] for seed, b, s in zip(run.seeds, bounds, scores, strict=True)]
    settings = {"K": K, "rows": ROWS[run.budget], **SETTINGS, "fits": FITS}
    return Outcome(figures, settings, text_table(HEADER, rows))


def _row(X: Array, n_rows: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Bounds in units of the highest level and seconds of all fits, log p(x) by the first two."""
    X = X[np.random.RandomState(seed).permutation(len(X))[: n_rows + SCORED_ROWS]]
    fits = [_fit(X[:n_rows], seed, how) for how in FITS.values()]
    scores = [model.score(X[n_rows:]) for model, _ in fits[:2]]
    return (
        [-model.fit_result_.best_score for model, _ in fits],
        scores,
        [seconds for _, seconds in fits],
    )


def _fit(X: Array, seed: int, how: dict[str, Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = DeepMixture(K, **SETTINGS, **how, device=device, random_state=seed).fit(X)
    return model, time.perf_counter() - started
