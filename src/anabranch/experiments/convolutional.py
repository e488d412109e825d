"""Convolutions in the posterior network and in the components, beside MLPs and MAFs."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.data import read_tables
from anabranch.estimators import FlowMixture
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import bits_per_dim, clustering_accuracy

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

N_CLASSES = 5
TRAIN = ("mnist", "train-images-idx3-ubyte.gz"), ("mnist", "train-labels-idx1-ubyte.gz")
TEST = ("mnist", "t10k-images-idx3-ubyte.gz"), ("mnist", "t10k-labels-idx1-ubyte.gz")
# seconds of epochs per variant, rows to train on
BUDGETS = {"cpu": (60.0, 4000), "full": (900.0, 30_000)}
TRIAL_ROWS, TRIAL_EPOCHS = 600, 3

SHAPE = [28, 28]
MLP = {"name": "mlp", "hidden": [512]}  # the thesis' sizes
MAF = {"name": "maf", "n_layers": 5, "hidden": [200]}
CONV_Q = {"name": "conv", "image_shape": SHAPE, "channels": [16, 32], "hidden": [128]}
CONV_P = {"name": "conv_realnvp", "image_shape": SHAPE, "n_layers": 6, "channels": 32}
VARIANTS: dict[str, dict[str, Any]] = {
    "MLP q, MAF": {"model_options": {"posterior": MLP}, "flow": MAF},
    "conv q, MAF": {"model_options": {"posterior": CONV_Q}, "flow": MAF},
    "MLP q, conv components": {"model_options": {"posterior": MLP}, "flow": CONV_P},
    "conv q, conv components": {"model_options": {"posterior": CONV_Q}, "flow": CONV_P},
}
COMMON = {
    "inference": "variational",
    "init_params": "kmeans",
    "levels": 256,
    "batch_size": 128,
    "learning_rate": 1e-3,
}
HEADER = ["variant", "seed", "ACC q(c|x)", "ACC p(c|x)", "bits/dim", "epochs", "s"]


@experiment(
    "vmonf-convolutional",
    seeds=1,
    summary="digits 0-4: convolutions in q and in the components, beside MLP and MAF, equal time",
    needs_data=True,
)
def vmonf_convolutional(run: Run) -> Outcome:
    """Test accuracy and bits per dimension of each variant after the same time of training."""
    seconds, n_rows = BUDGETS[run.budget]
    X, _ = _digits(run, TRAIN)
    V, y = _digits(run, TEST)
    rows: list[list[Any]] = []
    for seed in run.seeds:
        some = X[np.random.RandomState(seed).permutation(len(X))[:n_rows]]
        accuracy = clustering_accuracy(y, kmeans(some, N_CLASSES, seed).predict(V))
        rows.append(["k-means on pixels", seed, accuracy, accuracy, float("nan"), 0, 0.0])
        for name, settings in VARIANTS.items():
            rows.append([name, seed, *_row(settings, some, V, y, seed, seconds)])
    settings = {**COMMON, "variants": VARIANTS, "rows": n_rows, "seconds of epochs": seconds}
    return Outcome(_figures(rows), settings, text_table(HEADER, rows))


def _row(
    settings: dict[str, Any], X: Array, V: Array, y: Labels, seed: int, seconds: float
) -> list[float]:
    """The entries of HEADER behind variant and seed."""
    settings = {**COMMON, **settings, "random_state": seed}
    epochs = affordable_epochs(settings, X, seconds)
    started = time.perf_counter()
    mixture = FlowMixture(N_CLASSES, max_epochs=epochs, **settings).fit(X)
    spent = time.perf_counter() - started
    accuracies = [
        clustering_accuracy(y, mixture.predict(V, method=method)) for method in ("network", "exact")
    ]
    return [*accuracies, bits_per_dim(mixture.score(V), V.shape[1]), epochs, spent]


def affordable_epochs(settings: dict[str, Any], X: Array, seconds: float) -> int:
    """How many epochs take that long, by a few of a few rows; at least one."""
    few = X[:TRIAL_ROWS]
    trial = FlowMixture(N_CLASSES, max_epochs=TRIAL_EPOCHS, **settings).fit(few)
    per_row = trial.fit_result_.seconds / (TRIAL_EPOCHS * len(few))
    return max(1, int(seconds / (per_row * len(X))))


def _digits(run: Run, files: tuple[tuple[str, ...], ...]) -> tuple[Array, Labels]:
    table = read_tables([run.path(*part) for part in files])
    if table.labels is None:
        raise ValueError(f"{files[1][-1]} holds no labels")
    few = table.labels < N_CLASSES
    return table.X[few].astype(np.float64), table.labels[few]


def _figures(rows: list[list[Any]]) -> list[Figure]:
    """Means over the seeds, to be reported only."""
    figures = []
    for name in dict.fromkeys(row[0] for row in rows):
        means = np.mean([row[2:] for row in rows if row[0] == name], axis=0)
        shown = HEADER[2:] if name in VARIANTS else HEADER[2:3]
        figures += [
            Figure(f"{name}: {what}", float(mean)) for what, mean in zip(shown, means, strict=False)
        ]
    return figures
