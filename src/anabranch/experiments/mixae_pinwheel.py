"""The pinwheel by a mixture of autoencoders, with and without the balance of its clusters."""

import time
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.metrics import clustering_accuracy
from anabranch.models import mixae
from anabranch.problems import Pinwheel
from anabranch.procedures import CollapsedWarning, TrainingRun, fit_mixae
from anabranch.training import FitOptions

K, WING = 5, 400
# A cluster is used where it has this share of the rows.
USED = 0.02
NETWORK: dict[str, Any] = {"latent": 1, "hidden": [16], "activation": "tanh"}
CERTAINTY, BALANCE = 1.0, 1.0
FIT: dict[str, Any] = {"max_epochs": 200, "batch_size": 256, "learning_rate": 3e-3}


class Score(NamedTuple):
    """Accuracies, autoencoders in use, and processor seconds per fit."""

    seed: int
    kmeans_acc: float
    acc: float
    used: int
    acc_without_balance: float
    used_without: int
    s: float


@experiment("mixae-pinwheel", seeds=3, summary="five autoencoders on five bent wings")
def mixae_pinwheel(run: Run) -> Outcome:
    """Accuracy, and how many of the autoencoders are used."""
    rows = per_seed(run.seeds, score)
    best = max(rows, key=lambda row: row.acc)
    left, gain = rows.mean("used_without"), rows.mean("acc") - rows.mean("kmeans_acc")
    figures = [
        Figure("best ACC", best.acc, 0.9, "higher"),
        Figure("autoencoders used in the best run", best.used, K, "higher"),
        Figure("mean ACC less that of k-means", gain, 0.0, "higher"),
        Figure("mean ACC", rows.mean("acc")),
        Figure("mean ACC, k-means", rows.mean("kmeans_acc")),
        Figure("mean autoencoders used without the balance", left, 2.0, "lower"),
        Figure("most autoencoders used without the balance", rows.best("used_without")),
        Figure("mean ACC without the balance", rows.mean("acc_without_balance")),
        Figure("processor seconds per fit", rows.mean("s")),
    ]
    settings = {"K": K, "n": K * WING, **NETWORK, "certainty": CERTAINTY, "balance": BALANCE, **FIT}
    return Outcome(figures, settings, rows.table())


def score(seed: int) -> Score:
    """Fit with and without the balance."""
    X, labels = Pinwheel().sample_per_component(WING, random_state=seed)
    X = (X - X.mean(0)) / X.std(0)
    accuracy = clustering_accuracy(labels, kmeans(X, K, seed).predict(X))
    started = time.process_time()
    scores = [_fitted(X, labels, seed, balance) for balance in (BALANCE, 0.0)]
    seconds = (time.process_time() - started) / len(scores)
    return Score(seed, accuracy, *scores[0], *scores[1], seconds)


def _fitted(
    X: NDArray[np.float64], labels: NDArray[np.int64], seed: int, balance: float
) -> tuple[float, int]:
    """Accuracy, and how many autoencoders are used."""
    x = torch.tensor(X, dtype=torch.float32)
    model = mixae(2, K, **NETWORK, seed=seed)
    source = torch.Generator().manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapsedWarning)
        run = TrainingRun(FitOptions(**FIT, progress=False), source)
        fit_mixae(model, x, run, certainty=CERTAINTY, balance=balance)
    found = model.responsibilities(x).argmax(0).numpy()
    used = (np.bincount(found, minlength=K) >= USED * len(found)).sum()
    return clustering_accuracy(labels, found), int(used)
