"""Two clusterings of the same rows, behind a random network: LTVAE, and those that find one."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anabranch.estimators import DeepClustering
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
# States of a variable, latents that depend on each of the two, features, rows.
K, OWN, FEATURES, ROWS = 3, 3, 64, 2000
# Distance of two means at least, in standard deviations; weights of the first layer, and noise.
APART, GAIN, NOISE = 4.0, 0.3, 0.05
SETTINGS: dict[str, Any] = {
    "latent": 2 * OWN,
    "hidden": [256],
    "pretrain": {"epochs": 60},
    "max_epochs": 20,
    "learning_rate": 2e-3,
    "batch_size": 64,
}
NAMES = ("k-means, K = 3", "k-means, K = 9", "LTVAE-GMM, K = 3", "LTVAE-GMM, K = 9", "LTVAE")


@experiment(
    "ltvae-blobs", seeds=5, summary="LTVAE on two clusterings of the same rows, behind a network"
)
def ltvae_blobs(run: Run) -> Outcome:
    """Whether both of two independent clusterings are found."""
    started = time.perf_counter()
    rows = [_row(seed) for seed in run.seeds]
    seconds = (time.perf_counter() - started) / len(rows)
    scores = np.array([row[0] for row in rows])
    variables = np.array([row[1] for row in rows])
    figures = [
        Figure("mean ACC of LTVAE, the first clustering", scores[:, 4, 0].mean(), 0.9, "higher"),
        Figure("mean ACC of LTVAE, the second clustering", scores[:, 4, 1].mean(), 0.9, "higher"),
        Figure("worst ACC of LTVAE over seeds and clusterings", float(scores[:, 4].min())),
        Figure("share of seeds where LTVAE has two variables", float((variables == 2).mean())),
        *(
            Figure(f"mean over seeds of the worse of two ACC, {name}", scores[:, i].min(1).mean())
            for i, name in enumerate(NAMES)
        ),
        Figure("seconds per seed", seconds),
    ]
    table = [
        [seed, name, *map(float, score[i]), variables[n] if name == "LTVAE" else 1]
        for n, (seed, score) in enumerate(zip(run.seeds, scores, strict=True))
        for i, name in enumerate(NAMES)
    ]
    settings = {"n": ROWS, "features": FEATURES, "K": K, **SETTINGS}
    header = ["seed", "method", "ACC first", "ACC second", "variables"]
    return Outcome(figures, settings, text_table(header, table))


def _row(seed: int) -> tuple[Array, int]:
    """Accuracies of all methods for both clusterings, (5, 2), and the variables of the tree."""
    X, labels = two_facets(seed)
    found = [_kmeans(X, k, seed) for k in (K, K * K)]
    models = [_ltvae(X, "ltvae-gmm", k, seed) for k in (K, K * K)]
    tree = _ltvae(X, "ltvae", K, seed)
    found += [model.predict_facets(X) for model in (*models, tree)]
    scores = np.array([[accuracy(y, candidates) for y in labels.T] for candidates in found])
    # one of a single state only says that its neighbours are independent
    variables = sum(k > 1 for k in tree.model_.prior.structure.states)
    return scores, variables


def accuracy(labels: Labels, candidates: Labels) -> float:
    """The best ACC of several clusterings (n, m) of rows with those labels (n,)."""
    return max(clustering_accuracy(labels, column) for column in candidates.T)


def _kmeans(X: Array, k: int, seed: int) -> Labels:
    model = KMeans(k, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType] - the stub knows no numbers
    return model.fit_predict((X - X.mean(0)) / X.std(0))[:, None].astype(np.int64)


def _ltvae(X: Array, method: str, k: int, seed: int) -> Any:
    # starts of the mixture, which a search of the tree has not
    options: dict[str, object] | None = {"n_init": 5} if method == "ltvae-gmm" else None
    model = DeepClustering(k, method=method, method_options=options, **SETTINGS, random_state=seed)
    return model.fit(X)


def two_facets(seed: int) -> tuple[Array, Labels]:
    """Rows (ROWS, FEATURES), and the states (ROWS, 2) of two independent variables behind them.

    Three latents are normal around a mean that the first variable chooses, three around one that
    the second does; a random network of one layer makes the features of all six.
    """
    random = np.random.RandomState(seed)
    labels = random.randint(K, size=(ROWS, 2))
    means = [_means(random) for _ in range(2)]
    z = np.concatenate([means[i][labels[:, i]] for i in range(2)], 1)
    z += random.normal(size=z.shape)
    inward = random.normal(0, GAIN / np.sqrt(2 * OWN), (2 * OWN, FEATURES))
    shift = random.normal(0, 0.5, FEATURES)
    outward = random.normal(0, 1 / np.sqrt(FEATURES), (FEATURES, FEATURES))
    X = np.tanh(z @ inward + shift) @ outward
    return X + NOISE * X.std() * random.normal(size=X.shape), labels


def _means(random: np.random.RandomState) -> Array:
    """Means (K, OWN) that are at least APART from each other."""
    while True:
        means = random.normal(0, APART / np.sqrt(2), (K, OWN))
        distances = np.linalg.norm(means[:, None] - means, axis=-1)
        if distances[np.triu_indices(K, 1)].min() >= APART:
            return means
