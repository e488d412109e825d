"""Digits and clothes without labels: a posterior network by invariance, then flows beside it."""

import time
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from anabranch.estimators import FlowMixture
from anabranch.experiments import image_data
from anabranch.experiments.baselines import best_gaussian_mixture, kmeans
from anabranch.experiments.image_data import Array, Labels
from anabranch.experiments.image_pictures import samples_picture
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import contingency_text, text_table
from anabranch.metrics import bits_per_dim, clustering_accuracy

SHAPE = (28, 28)
BASELINE_ROWS = 10_000
BASELINE_COLUMNS = 30
# Seeds whose flows are fitted with the true labels as well, which takes as long again.
TAUGHT_SEEDS = 2
INVARIANT: dict[str, Any] = {
    "inference": "invariant",
    "levels": 256,
    "model_options": {"posterior": {"name": "mlp", "hidden": [512, 512]}},
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
HEADER = ["task", "seed", "ACC q(c|x)", "k-means", "Gaussian mixture", "s"]


class Task(NamedTuple):
    """What is clustered, how, and the accuracy to reach."""

    name: str
    folder: str
    n_classes: int
    target: float
    settings: dict[str, Any]


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
    rows: list[list[Any]] = []
    bits: list[list[float]] = []
    table, pictures = "", {}
    for task in TASKS:
        train, test = images(run, task, "train"), images(run, task, "t10k")
        for seed in run.seeds:
            started = time.perf_counter()
            mixture = FlowMixture(
                task.n_classes, **INVARIANT, **task.settings, random_state=seed
            ).fit(train[0])
            seconds = time.perf_counter() - started
            q = mixture.predict(test[0])
            rows.append(
                [
                    task.name,
                    seed,
                    clustering_accuracy(test[1], q),
                    *baselines(task, train[0], test, seed),
                    seconds,
                ]
            )
            if task.settings is FLOWS and seed in run.seeds[:TAUGHT_SEEDS]:
                bits.append(densities(mixture, train, test, seed))
                if seed == run.seeds[0]:
                    table, pictures = (
                        contingency_text(test[1], q),
                        {"samples.png": samples_picture(mixture)},
                    )
    found, taught, agreement, seconds = np.mean(bits, axis=0).tolist()
    figures = [
        *_figures(rows),
        Figure(
            "MNIST 0-4: bits/dim over those of flows given labels", found / taught, 1.02, "lower"
        ),
        Figure("MNIST 0-4: bits/dim", found),
        Figure("MNIST 0-4: ACC p(c|x)", agreement),
        Figure("MNIST 0-4: seconds of the flows given labels", seconds),
        Figure("MNIST 0-4: the thesis' table, ACC", 0.757),
    ]
    settings = {"shared": INVARIANT, "tasks": [task._asdict() for task in TASKS]}
    return Outcome(figures, settings, f"{text_table(HEADER, rows)}\n\n{table}", pictures)


def images(run: Run, task: Task, part: str) -> tuple[Array, Labels]:
    """Pixels and labels of the task's classes; labels serve for scoring only."""
    X, labels = image_data.images(run, task.folder, part)
    wanted = labels < task.n_classes
    return X[wanted], labels[wanted]


def baselines(task: Task, X: Array, test: tuple[Array, Labels], seed: int) -> list[float]:
    """Test accuracy of k-means on pixels and of a Gaussian mixture on principal components."""
    V, y = test
    few = X[np.random.RandomState(seed).permutation(len(X))[:BASELINE_ROWS]]
    means = kmeans(few, task.n_classes, seed).predict(V)
    components = PCA(BASELINE_COLUMNS, random_state=seed).fit(few)
    Z = components.transform(few)
    mixture = best_gaussian_mixture(Z[1000:], Z[:1000], [task.n_classes], seed)
    gaussians = mixture.predict(components.transform(V))
    return [clustering_accuracy(y, clusters) for clusters in (means, gaussians)]


def densities(
    mixture: FlowMixture, train: tuple[Array, Labels], test: tuple[Array, Labels], seed: int
) -> list[float]:
    """Held-out bits per dimension, those of the same flows given labels, ACC of p, seconds."""
    (X, given), (V, y) = train, test
    started = time.perf_counter()
    # labels of all rows overrule k-means; a start from labels would be trained twice as long
    how: dict[str, Any] = {**FLOWS, "levels": 256, "init_params": "kmeans"}
    taught = FlowMixture(mixture.n_components_, **how, random_state=seed)
    taught.fit(X, given)
    seconds = time.perf_counter() - started
    bits = [bits_per_dim(m.score(V), V.shape[1]) for m in (mixture, taught)]
    return [*bits, clustering_accuracy(y, mixture.predict(V, method="exact")), seconds]


def _figures(rows: list[list[Any]]) -> list[Figure]:
    figures = []
    for task in TASKS:
        own = np.array([row[2:] for row in rows if row[0] == task.name])
        q, means, gaussians, _ = own.mean(0).tolist()
        figures += [
            Figure(f"{task.name}: ACC q(c|x)", q, task.target, "higher"),
            Figure(f"{task.name}: worst ACC q(c|x)", float(own[:, 0].min())),
            Figure(f"{task.name}: k-means on pixels, ACC", means),
            Figure(f"{task.name}: Gaussian mixture on principal components, ACC", gaussians),
            Figure(f"{task.name}: longest fit, seconds", float(own[:, 3].max()), 1200.0, "lower"),
        ]
    return figures
