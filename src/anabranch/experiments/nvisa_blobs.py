"""A Gaussian mixture pushed through a random network: NVISA, its start, and k-means."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from anabranch.estimators import DeepMixture
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

K, LATENT, FEATURES, ROWS = 5, 5, 64, 4000
# Standard deviations of a component: large along a direction that says nothing of the clusters.
STDS = np.array([3.0, 0.3, 0.3, 0.3, 0.3])
# Least distance of two means, in standard deviations of a component, so that K clusters are there.
APART = 6.0
SPREAD, GAIN, NOISE = 2.5, 0.3, 0.05
SETTINGS: dict[str, Any] = {
    "latent": LATENT,
    "hidden": [100, 100],
    "start": {"name": "autoencoder", "epochs": 20},
    "max_epochs": 30,
}
HEADER = [
    "seed",
    "best possible",
    "k-means",
    "autoencoder + mixture",
    "NVISA",
    "from random weights",
    "H(mean q)",
]


@experiment(
    "nvisa-blobs", seeds=5, summary="NVISA on a Gaussian mixture pushed through a random network"
)
def nvisa_blobs(run: Run) -> Outcome:
    """Clusters of a few latent variables, seen through 64 features."""
    started = time.perf_counter()
    rows = np.array([_row(seed) for seed in run.seeds])
    seconds = (time.perf_counter() - started) / len(rows)
    best, k_means, start, nvisa, random = rows[:, 1:6].mean(0)
    figures = [
        Figure("mean ACC, NVISA-VIMCO with annealing", nvisa, 0.95, "higher"),
        Figure("the same less that of k-means", nvisa - k_means, 0.10, "higher"),
        Figure("worst ACC, NVISA-VIMCO with annealing", rows[:, 4].min()),
        Figure("mean ACC, k-means", k_means),
        Figure("mean ACC, autoencoder + Gaussian mixture, the start", start),
        Figure("mean ACC, NVISA-VIMCO with annealing from random weights", random),
        Figure("mean ACC, the true posterior of the true latents", best),
        Figure("seconds per seed", seconds),
    ]
    table = text_table(HEADER, [[int(row[0]), *row[1:]] for row in rows])
    settings = {"n": ROWS, "features": FEATURES, "K": K, "objective": "vimco", **SETTINGS}
    settings |= {"stds": STDS.tolist(), "apart": APART, "gain": GAIN, "noise": NOISE}
    return Outcome(figures, settings, table)


def _row(seed: int) -> list[float]:
    X, labels, best = blobs(seed)
    model: Any = DeepMixture(K, **SETTINGS, random_state=seed).fit(X)
    random = DeepMixture(K, **{**SETTINGS, "start": "random"}, random_state=seed).fit(X)
    standardised = (X - X.mean(0)) / X.std(0)
    k_means = kmeans(standardised, K, seed).predict(standardised)
    return [
        seed,
        best,
        clustering_accuracy(labels, k_means),
        clustering_accuracy(labels[model.train_rows_], model.start_labels_),
        clustering_accuracy(labels, model.predict(X)),
        clustering_accuracy(labels, random.predict(X)),
        model.history_[-1]["validation_entropy_mean_q"],
    ]


def blobs(seed: int) -> tuple[Array, Labels, float]:
    r"""Rows (ROWS, FEATURES), the components they come from, and the best ACC there can be.

    Means are drawn again until each two of them are `APART` standard deviations of a component
    apart: where two lie on top of each other no method can tell them. The network is
    :math:`x = B \tanh(A z + b) + \epsilon` with a random A, B and b; its gain is such that the
    long direction of a component, which k-means splits, comes out bent, and not flattened.

    The last is the accuracy of the component with the highest posterior probability given the
    latents.
    """
    random = np.random.RandomState(seed)
    means = _means(random)
    labels = random.randint(K, size=ROWS)
    z = means[labels] + STDS * random.normal(size=(ROWS, LATENT))
    inward = random.normal(0, GAIN / np.sqrt(LATENT), (LATENT, FEATURES))
    shift = random.normal(0, 0.5, FEATURES)
    outward = random.normal(0, 1 / np.sqrt(FEATURES), (FEATURES, FEATURES))
    X = np.tanh(z @ inward + shift) @ outward + NOISE * random.normal(size=(ROWS, FEATURES))
    nearest = cdist(z / STDS, means / STDS).argmin(1)
    return X, labels, float((nearest == labels).mean())


def _means(random: np.random.RandomState) -> Array:
    while True:
        means = random.normal(0, SPREAD / np.sqrt(2), (K, LATENT))
        if pdist(means / STDS).min() >= APART:
            return means
