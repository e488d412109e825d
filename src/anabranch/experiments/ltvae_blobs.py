"""Two clusterings of the same rows, behind a random network: LTVAE, and those that find one."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anabranch.estimators import DeepClustering
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, text_table
from anabranch.metrics import clustering_accuracy
from anabranch.problems import TwoFacets

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
PROBLEM = TwoFacets()
K, ROWS = PROBLEM.n_states, 2000
SETTINGS: dict[str, Any] = {
    "latent": 2 * PROBLEM.own,
    "hidden": [256],
    "pretrain": {"epochs": 60},
    "max_epochs": 20,
    "learning_rate": 2e-3,
    "batch_size": 64,
}
N_INIT = 5
NAMES = ("k-means, K = 3", "k-means, K = 9", "LTVAE-GMM, K = 3", "LTVAE-GMM, K = 9", "LTVAE")


class Found(NamedTuple):
    """Accuracies of all methods for both clusterings, (5, 2), and the variables of the tree."""

    seed: int
    scores: Array
    variables: int


@experiment(
    "ltvae-blobs", seeds=5, summary="LTVAE on two clusterings of the same rows, behind a network"
)
def ltvae_blobs(run: Run) -> Outcome:
    """Whether both of two independent clusterings are found."""
    rows = per_seed(run.seeds, found)
    scores, variables = rows.column("scores"), rows.column("variables")
    figures = [
        Figure("mean ACC of LTVAE, the first clustering", scores[:, 4, 0].mean(), 0.9, "higher"),
        Figure("mean ACC of LTVAE, the second clustering", scores[:, 4, 1].mean(), 0.9, "higher"),
        Figure("worst ACC of LTVAE over seeds and clusterings", float(scores[:, 4].min())),
        Figure("share of seeds where LTVAE has two variables", float((variables == 2).mean())),
        *(
            Figure(f"mean over seeds of the worse of two ACC, {name}", scores[:, i].min(1).mean())
            for i, name in enumerate(NAMES)
        ),
        Figure("seconds per seed", rows.seconds),
    ]
    table = [
        [row.seed, name, *map(float, row.scores[i]), row.variables if name == "LTVAE" else 1]
        for row in rows
        for i, name in enumerate(NAMES)
    ]
    settings = {"n": ROWS, "features": PROBLEM.n_features, "K": K, **SETTINGS, "n_init": N_INIT}
    header = ["seed", "method", "ACC first", "ACC second", "variables"]
    return Outcome(figures, settings, text_table(header, table))


def found(seed: int) -> Found:
    """Fit all methods to one draw."""
    X, labels = PROBLEM.sample(ROWS, random_state=seed)
    clusters = [_kmeans(X, k, seed) for k in (K, K * K)]
    models = [_ltvae(X, "ltvae-gmm", k, seed) for k in (K, K * K)]
    tree = _ltvae(X, "ltvae", K, seed)
    clusters += [model.predict_facets(X) for model in (*models, tree)]
    scores = np.array([[accuracy(y, candidates) for y in labels.T] for candidates in clusters])
    # one of a single state only says that its neighbours are independent
    variables = sum(k > 1 for k in tree.model_.prior.structure.states)
    return Found(seed, scores, variables)


def accuracy(labels: Labels, candidates: Labels) -> float:
    """The best ACC of several clusterings (n, m) of rows with those labels (n,)."""
    return max(clustering_accuracy(labels, column) for column in candidates.T)


def _kmeans(X: Array, k: int, seed: int) -> Labels:
    model = KMeans(k, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType] - the stub knows no numbers
    return model.fit_predict((X - X.mean(0)) / X.std(0))[:, None].astype(np.int64)


def _ltvae(X: Array, method: str, k: int, seed: int) -> Any:
    # starts of the mixture, which a search of the tree has not
    options: dict[str, object] | None = {"n_init": N_INIT} if method == "ltvae-gmm" else None
    model = DeepClustering(k, method=method, method_options=options, **SETTINGS, random_state=seed)
    return model.fit(X)
