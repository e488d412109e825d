"""Digits and clothes without labels: a posterior network by invariance, then flows beside it."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from anabranch.estimators import FlowMixture
from anabranch.experiments import (
    Figure,
    Outcome,
    Rows,
    Run,
    contingency_text,
    experiment,
    joined,
    per_seed,
)
from anabranch.experiments.baselines import best_gaussian_mixture, kmeans
from anabranch.experiments.image_data import Array, Labels, images
from anabranch.experiments.pictures import samples_picture
from anabranch.metrics import bits_per_dim, clustering_accuracy

Part = tuple[Array, Labels]
SHAPE = (28, 28)
BASELINE_ROWS = 10_000
BASELINE_COLUMNS = 30
# Seeds whose flows are fitted with the true labels as well, which takes as long again.
TAUGHT_SEEDS = 2
INVARIANT: dict[str, Any] = {
    "inference": "invariant",
    "model_options": {"levels": 256, "posterior": {"name": "mlp", "hidden": [512, 512]}},
    "consistency": {"perturbation": {"name": "affine", "image_shape": list(SHAPE), "noise": 0.3}},
}
# the size of the thesis
FLOWS: dict[str, Any] = {
    "flow": {"name": "maf", "n_layers": 5, "hidden": [200]},
    "batch_size": 250,
    "learning_rate": 1e-3,
    "max_epochs": 2,
}
# q alone, beside Gaussians: the flows of ten classes and sixty thousand images take an hour
GAUSSIANS: dict[str, Any] = {"flow": None, "max_epochs": 0}


class Task(NamedTuple):
    """What is clustered, how, and the accuracy to reach."""

    name: str
    folder: str
    n_classes: int
    target: float
    settings: dict[str, Any]


class Densities(NamedTuple):
    """Bits per dimension, those of flows given labels and their seconds, and ACC of p."""

    bits: float
    taught: float
    acc_p: float
    s: float


class Found(NamedTuple):
    """Test accuracies and seconds; last the fit of the first seed, and densities of a few."""

    task: str
    seed: int
    acc_q: float
    kmeans: float
    gaussian_mixture: float
    s: float
    mixture: FlowMixture | None
    densities: Densities | None


TASKS = (
    Task("MNIST 0-4", "mnist", 5, 0.985, FLOWS),
    Task("MNIST", "mnist", 10, 0.96, GAUSSIANS),
    Task("Fashion-MNIST", "fashion-mnist", 10, 0.64, {**GAUSSIANS, "n_init": 2}),
)


@experiment(
    "vmonf-mnist",
    seeds=5,
    summary="MNIST and Fashion-MNIST without labels: accuracy of q, and flows for digits 0-4",
    needs_data=True,
)
def vmonf_mnist(run: Run) -> Outcome:
    """Test accuracy of q on three tasks, and the densities of the components on the first."""
    rows, taught = {}, run.seeds[:TAUGHT_SEEDS]
    tests = {task.name: images(run, task.folder, "t10k", task.n_classes) for task in TASKS}
    for task in TASKS:
        train = images(run, task.folder, "train", task.n_classes)
        rows[task.name] = per_seed(run.seeds, found, task, train, tests[task.name], taught)
    first = rows[TASKS[0].name]
    densities = Rows(row.densities for row in first if row.densities is not None)
    share = densities.mean("bits") / densities.mean("taught")
    figures = [
        *(figure for task in TASKS for figure in _figures(task, rows[task.name])),
        Figure("MNIST 0-4: bits/dim over those of flows given labels", share, 1.02, "lower"),
        Figure("MNIST 0-4: bits/dim", densities.mean("bits")),
        Figure("MNIST 0-4: ACC p(c|x)", densities.mean("acc_p")),
        Figure("MNIST 0-4: seconds of the flows given labels", densities.mean("s")),
        Figure("MNIST 0-4: the thesis' table, ACC", 0.757),
    ]
    settings = {"shared": INVARIANT, "tasks": [task._asdict() for task in TASKS]}
    X, y = tests[TASKS[0].name]
    mixture: Any = first[0].mixture
    table = f"{joined(rows.values()).table()}\n\n{contingency_text(y, mixture.predict(X))}"
    return Outcome(figures, settings, table, {"samples.png": samples_picture(mixture)})


def found(seed: int, task: Task, train: Part, test: Part, taught: Sequence[int]) -> Found:
    """Fit to the images of a task, and judge by others; densities on a few seeds."""
    settings = {**INVARIANT, **task.settings, "random_state": seed}
    started = time.perf_counter()
    mixture = FlowMixture(task.n_classes, **settings).fit(train[0])
    seconds = time.perf_counter() - started
    judged = task.settings is FLOWS and seed in taught
    return Found(
        task.name,
        seed,
        clustering_accuracy(test[1], mixture.predict(test[0])),
        *baselines(task, train[0], test, seed),
        s=seconds,
        mixture=mixture if judged else None,
        densities=densities(mixture, train, test, seed) if judged else None,
    )


def baselines(task: Task, X: Array, test: Part, seed: int) -> list[float]:
    """Test accuracy of k-means on pixels and of a Gaussian mixture on principal components."""
    V, y = test
    few = X[np.random.RandomState(seed).permutation(len(X))[:BASELINE_ROWS]]
    means = kmeans(few, task.n_classes, seed).predict(V)
    components = PCA(BASELINE_COLUMNS, random_state=seed).fit(few)
    Z = components.transform(few)
    mixture = best_gaussian_mixture(Z[1000:], Z[:1000], [task.n_classes], seed)
    gaussians = mixture.predict(components.transform(V))
    return [clustering_accuracy(y, clusters) for clusters in (means, gaussians)]


def densities(mixture: FlowMixture, train: Part, test: Part, seed: int) -> Densities:
    """Held-out bits per dimension, beside those of the same flows given labels."""
    (X, given), (V, y) = train, test
    started = time.perf_counter()
    # labels of all rows overrule k-means; a start from labels would be trained twice as long
    how: dict[str, Any] = {**FLOWS, "model_options": {"levels": 256}, "init_params": "kmeans"}
    taught = FlowMixture(mixture.n_components_, **how, random_state=seed)
    taught.fit(X, given)
    seconds = time.perf_counter() - started
    bits = [bits_per_dim(m.score(V), V.shape[1]) for m in (mixture, taught)]
    accuracy = clustering_accuracy(y, mixture.predict(V, method="exact"))
    return Densities(*bits, acc_p=accuracy, s=seconds)


def _figures(task: Task, rows: Rows[Found]) -> list[Figure]:
    name, gaussians = task.name, rows.mean("gaussian_mixture")
    return [
        Figure(f"{name}: ACC q(c|x)", rows.mean("acc_q"), task.target, "higher"),
        Figure(f"{name}: worst ACC q(c|x)", rows.worst("acc_q")),
        Figure(f"{name}: k-means on pixels, ACC", rows.mean("kmeans")),
        Figure(f"{name}: Gaussian mixture on principal components, ACC", gaussians),
        Figure(f"{name}: longest fit, seconds", rows.best("s"), 1200.0, "lower"),
    ]
