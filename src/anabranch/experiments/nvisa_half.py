"""NVISA in bfloat16 beside float32: the bound after ten epochs, and the time."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import Array, images

K, TOLERANCE, SCORED_ROWS = 10, 0.005, 500
SETTINGS: dict[str, Any] = {
    "levels": 256,
    "hidden": [500, 500],
    "objective__samples": 15,
    "start__epochs": 10,
    "max_epochs": 10,
    "schedule__std_first": 0.1,
}
ROWS = {"cpu": 10_000, "full": 60_000}
# The third differs from the first by its matrix kernels alone: how far rounding leads by itself.
FITS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"schedule__half_precision": True},
    "float32, torch's kernels": {"fit_options__matmul": "default"},
}


class Pair(NamedTuple):
    """Bounds and log p(x) in nats, and seconds, of the fits; by the weights of the first two."""

    seed: int
    bound_float32: float
    bound_bfloat16: float
    bound_other_kernels: float
    log_p: float
    log_p_by_bfloat16: float
    seconds: list[float]


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
    rows = per_seed(run.seeds, compared, X, ROWS[run.budget])
    single = rows.column("bound_float32")
    half, other = (
        rows.column(name) / single - 1 for name in ("bound_bfloat16", "bound_other_kernels")
    )
    worst, loss = float(np.abs(half).max()), rows.gain("log_p", over="log_p_by_bfloat16")
    seconds = rows.column("seconds")
    ratio = float((seconds[:, 0] / seconds[:, 1]).mean())
    figures = [
        Figure("largest difference of the bound, relative", worst, TOLERANCE, "lower"),
        Figure("mean over seeds of the same, with its sign", float(half.mean())),
        Figure("largest difference of float32 by other kernels", float(np.abs(other).max())),
        Figure("mean bound in float32, nats", float(single.mean())),
        Figure("mean loss of log p(x) by the weights, nats", float(loss.mean())),
        Figure("seconds of a fit, float32 over bfloat16", ratio),
    ]
    settings = {"K": K, "rows": ROWS[run.budget], **SETTINGS, "fits": FITS}
    return Outcome(figures, settings, rows.table())


def compared(seed: int, X: Array, n_rows: int) -> Pair:
    """Bounds in units of the highest level and seconds of all fits, log p(x) by the first two."""
    X = X[np.random.RandomState(seed).permutation(len(X))[: n_rows + SCORED_ROWS]]
    fits = [_fit(X[:n_rows], seed, how) for how in FITS.values()]
    bounds = [-model.fit_result_.best_score for model, _ in fits]
    scores = [model.score(X[n_rows:]) for model, _ in fits[:2]]
    return Pair(seed, *bounds, *scores, seconds=[seconds for _, seconds in fits])


def _fit(X: Array, seed: int, how: dict[str, Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = DeepMixture(K, device=device, random_state=seed).set_params(**SETTINGS, **how)
    return model.fit(X), time.perf_counter() - started
