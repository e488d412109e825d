"""Deep clustering of MNIST and Fashion-MNIST by all methods, on the same networks and images."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.data import read_tables
from anabranch.estimators import DeepClustering
from anabranch.experiments.baselines import kmeans, text_table
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.metrics import clustering_accuracy

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

KINDS = ("images-idx3", "labels-idx1")
DATA = {"MNIST": "mnist", "Fashion-MNIST": "fashion-mnist"}
METHODS = ("ae+gmm", "vae+gmm", "dec", "idec", "vade")
# Table I of Li et al. (2020); IDEC is not in it, nor is k-means.
PUBLISHED = {
    "MNIST": {"ae+gmm": 0.8427, "vae+gmm": 0.7687, "dec": 0.8430, "vade": 0.9446},
    "Fashion-MNIST": {"ae+gmm": 0.5383, "vae+gmm": 0.5343, "dec": 0.5758, "vade": 0.5612},
}
NETWORK: dict[str, Any] = {"latent": 10, "hidden": (500, 500, 2000), "levels": 256}
# What two cores do in an hour, and the published size.
BUDGETS: dict[str, dict[str, Any]] = {
    "cpu": {
        "rows": 10_000,
        "pretrain_epochs": 50,
        "max_epochs": 20,
        "n_init": 5,
    },
    "full": {
        "rows": 60_000,
        "pretrain_epochs": 300,
        "max_epochs": 200,
        "patience": None,
    },
}
HEADER = ["data", "method", "ACC", "std", "ACC before", "s", "published"]


class Score(NamedTuple):
    """One fit: test accuracy, that of the training rows before and after the joint training."""

    test: float
    before: float
    after: float
    seconds: float


@experiment(
    "clustering-table",
    seeds=3,
    summary="MNIST and Fashion-MNIST by AE + GMM, VAE + GMM, DEC, IDEC and VaDE, beside k-means",
    needs_data=True,
)
def clustering_table(run: Run) -> Outcome:
    """Test accuracy of all methods on the same images, with the published one beside it."""
    settings = {**NETWORK, **BUDGETS[run.budget]}
    if run.budget == "full" and torch.cuda.is_available():
        settings["device"] = "cuda"
    rows: list[list[Any]] = []
    figures: list[Figure] = []
    for name, folder in DATA.items():
        train, test = images(run, folder, "train"), images(run, folder, "t10k")
        for method in ("k-means", *METHODS):
            scores = [score(method, train, test, settings, seed) for seed in run.seeds]
            rows.append(_row(name, method, scores))
            figures += _figures(name, method, scores)
    table = text_table(HEADER, rows)
    return Outcome(figures, {**settings, "published": PUBLISHED}, table)


def score(
    method: str,
    train: tuple[Array, Labels],
    test: tuple[Array, Labels],
    settings: dict[str, Any],
    seed: int,
) -> Score:
    """Fit one method to some rows, which the seed chooses, and compare with the labels."""
    some = np.random.RandomState(seed).permutation(len(train[0]))[: settings["rows"]]
    X, y = train[0][some], train[1][some]
    n_classes = len(np.unique(test[1]))
    started = time.perf_counter()
    if method == "k-means":
        model: Any = kmeans(X, n_classes, seed)
        before = model.labels_
    else:
        given = {key: value for key, value in settings.items() if key != "rows"}
        model = DeepClustering(n_classes, method=method, **given, random_state=seed).fit(X)
        before = model.start_labels_
    seconds = time.perf_counter() - started
    return Score(
        clustering_accuracy(test[1], model.predict(test[0])),
        clustering_accuracy(y, before),
        clustering_accuracy(y, model.labels_),
        seconds,
    )


def images(run: Run, folder: str, part: str) -> tuple[Array, Labels]:
    """Pixels and labels; labels serve for scoring only."""
    files = [run.path(folder, f"{part}-{kind}-ubyte.gz") for kind in KINDS]
    table = read_tables(files)
    if table.labels is None:
        raise ValueError(f"{files[1]} holds no labels")
    return table.X.astype(np.float64), table.labels


def _row(name: str, method: str, scores: list[Score]) -> list[Any]:
    accuracies = [one.test for one in scores]
    means = np.mean(scores, axis=0)
    published = PUBLISHED.get(name, {}).get(method, "")
    spread = float(np.std(accuracies))
    return [name, method, float(means[0]), spread, float(means[1]), float(means[3]), published]


def _figures(name: str, method: str, scores: list[Score]) -> list[Figure]:
    test, before, after, seconds = np.mean(scores, axis=0).tolist()
    figures = [
        Figure(f"{name}: test ACC of {method}", test),
        Figure(f"{name}: seconds of {method}", seconds),
    ]
    if method in ("dec", "idec"):
        gain = Figure(f"{name}: ACC of {method} above its k-means", after - before, 0.0, "higher")
        figures.append(gain)
    if method in PUBLISHED.get(name, {}):
        figures.append(Figure(f"{name}: published ACC of {method}", PUBLISHED[name][method]))
    return figures
