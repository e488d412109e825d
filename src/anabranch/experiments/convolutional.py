"""Convolutions in the posterior network and in the components, beside MLPs and MAFs."""

import time
from typing import Any, NamedTuple

import numpy as np

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.image_data import Array, Labels, images
from anabranch.metrics import bits_per_dim, clustering_accuracy

Part = tuple[Array, Labels]
N_CLASSES = 5
# seconds of epochs per variant, rows to train on
BUDGETS = {"cpu": (60.0, 4000), "full": (900.0, 30_000)}
TRIAL_ROWS, TRIAL_EPOCHS = 600, 3

SHAPE = [28, 28]
MLP = {"name": "mlp", "hidden": [512]}  # the thesis' sizes
MAF = {"name": "maf", "n_layers": 5, "hidden": [200]}
CONV_Q = {"name": "conv", "image_shape": SHAPE, "channels": [16, 32], "hidden": [128]}
CONV_P = {"name": "conv_realnvp", "image_shape": SHAPE, "n_layers": 6, "channels": 32}
VARIANTS: dict[str, dict[str, Any]] = {
    "MLP q, MAF": {"model_options": {"levels": 256, "posterior": MLP}, "flow": MAF},
    "conv q, MAF": {"model_options": {"levels": 256, "posterior": CONV_Q}, "flow": MAF},
    "MLP q, conv components": {"model_options": {"levels": 256, "posterior": MLP}, "flow": CONV_P},
    "conv q, conv components": {
        "model_options": {"levels": 256, "posterior": CONV_Q},
        "flow": CONV_P,
    },
}
COMMON = {
    "inference": "variational",
    "init_params": "kmeans",
    "batch_size": 128,
    "learning_rate": 1e-3,
}
# Names of the figures of a variant, by the fields of a row.
SHOWN = {
    "acc_q": "ACC q(c|x)",
    "acc_p": "ACC p(c|x)",
    "bits_per_dim": "bits/dim",
    "epochs": "epochs",
    "s": "s",
}


class Found(NamedTuple):
    """Test accuracies, bits per dimension, epochs that were affordable, and seconds."""

    variant: str
    seed: int
    acc_q: float
    acc_p: float = float("nan")
    bits_per_dim: float = float("nan")
    epochs: int = 0
    s: float = 0.0


@experiment(
    "vmonf-convolutional",
    seeds=1,
    summary="digits 0-4: convolutions in q and in the components, beside MLP and MAF, equal time",
    needs_data=True,
)
def vmonf_convolutional(run: Run) -> Outcome:
    """Test accuracy and bits per dimension of each variant after the same time of training."""
    seconds, n_rows = BUDGETS[run.budget]
    X, _ = images(run, "mnist", "train", N_CLASSES)
    test = images(run, "mnist", "t10k", N_CLASSES)
    rows = [per_seed(run.seeds, by_kmeans, "k-means on pixels", X, test, n_rows)]
    rows += [per_seed(run.seeds, found, name, X, test, run.budget) for name in VARIANTS]
    settings = {**COMMON, "variants": VARIANTS, "rows": n_rows, "seconds of epochs": seconds}
    return Outcome(_figures(rows), settings, joined(rows).table())


def by_kmeans(seed: int, name: str, X: Array, test: Part, n_rows: int) -> Found:
    """k-means on the pixels of the same rows."""
    V, y = test
    accuracy = clustering_accuracy(y, kmeans(_some(X, n_rows, seed), N_CLASSES, seed).predict(V))
    return Found(name, seed, accuracy, accuracy)


def found(seed: int, name: str, X: Array, test: Part, budget: str) -> Found:
    """Train one variant for the time that the budget allows."""
    seconds, n_rows = BUDGETS[budget]
    X, (V, y) = _some(X, n_rows, seed), test
    settings = {**COMMON, **VARIANTS[name], "random_state": seed}
    epochs = affordable_epochs(settings, X, seconds)
    started = time.perf_counter()
    mixture = FlowMixture(N_CLASSES, max_epochs=epochs, **settings).fit(X)
    spent = time.perf_counter() - started
    q, p = (
        clustering_accuracy(y, mixture.predict(V, method=method)) for method in ("network", "exact")
    )
    return Found(name, seed, q, p, bits_per_dim(mixture.score(V), V.shape[1]), epochs, spent)


def _some(X: Array, n_rows: int, seed: int) -> Array:
    return X[np.random.RandomState(seed).permutation(len(X))[:n_rows]]


def affordable_epochs(settings: dict[str, Any], X: Array, seconds: float) -> int:
    """How many epochs take that long, by a few of a few rows; at least one."""
    few = X[:TRIAL_ROWS]
    trial = FlowMixture(N_CLASSES, max_epochs=TRIAL_EPOCHS, **settings).fit(few)
    per_row = trial.fit_result_.seconds / (TRIAL_EPOCHS * len(few))
    return max(1, int(seconds / (per_row * len(X))))


def _figures(parts: list[Rows[Found]]) -> list[Figure]:
    """Means over the seeds, to be reported only."""
    return [
        Figure(f"{rows[0].variant}: {what}", rows.mean(field))
        for rows in parts
        for field, what in SHOWN.items()
        if rows[0].variant in VARIANTS or field == "acc_q"
    ]
