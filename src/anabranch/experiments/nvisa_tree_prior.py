"""Two clusterings of the same rows: NVISA with a latent tree as its prior, and with one mixture."""

from typing import Any, NamedTuple

import numpy as np

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.metrics import clustering_accuracy
from anabranch.problems import TwoFacets

PROBLEM = TwoFacets()
K, ROWS = PROBLEM.n_states, 2000
SETTINGS: dict[str, Any] = {
    "latent": 2 * PROBLEM.own,
    "hidden": [100, 100],
    "start": {"name": "autoencoder", "epochs": 60},
    "max_epochs": 20,
}
TREE = {"name": "latent-tree", "states": [K, K]}
FOUND = 0.95


class Score(NamedTuple):
    """Accuracies for both clusterings.

    Attributes:
        first, second: of the tree, the better of its two variables for each clustering.
        start_first, start_second: the same of the start alone.
        one_first, one_second: of a mixture of K components.
    """

    seed: int
    first: float
    second: float
    start_first: float
    start_second: float
    one_first: float
    one_second: float


@experiment(
    "nvisa-tree-prior", seeds=5, summary="NVISA with a latent tree on two clusterings of the rows"
)
def nvisa_tree_prior(run: Run) -> Outcome:
    """Whether both of two independent clusterings are found, where one mixture finds one."""
    rows = per_seed(run.seeds, score)
    one = np.stack([rows.column("one_first"), rows.column("one_second")])
    figures = [
        Figure("mean ACC of the tree, the first clustering", rows.mean("first"), FOUND, "higher"),
        Figure("mean ACC of the tree, the second clustering", rows.mean("second"), FOUND, "higher"),
        Figure(
            "clusterings that one mixture finds, most over seeds",
            float((one >= FOUND).sum(0).max()), 1.0, "lower",
        ),
        Figure("worst ACC of the tree, the first clustering", rows.worst("first")),
        Figure("worst ACC of the tree, the second clustering", rows.worst("second")),
        Figure("mean ACC of one mixture, the clustering it tells best", float(one.max(0).mean())),
        Figure("mean ACC of one mixture, the other one", float(one.min(0).mean())),
        Figure("mean ACC of the start, the first clustering", rows.mean("start_first")),
        Figure("mean ACC of the start, the second clustering", rows.mean("start_second")),
        Figure("seconds per seed", rows.seconds),
    ]  # fmt: skip
    settings = {"n": ROWS, "features": PROBLEM.n_features, "K": K, "prior": TREE, **SETTINGS}
    return Outcome(figures, settings, rows.table())


def score(seed: int) -> Score:
    """Fit with either prior to one draw."""
    X, labels = PROBLEM.sample(ROWS, random_state=seed)
    tree = DeepMixture(K * K, model_options={"prior": TREE}, random_state=seed)
    tree.set_params(**SETTINGS).fit(X)
    one = DeepMixture(K, random_state=seed).set_params(**SETTINGS).fit(X)
    start: Any = tree.start_labels_
    return Score(
        seed,
        *both(tree.predict(X), labels),
        *both(start, labels[tree.train_rows_]),
        *(clustering_accuracy(y, one.predict(X)) for y in labels.T),
    )


def both(found: np.ndarray, labels: np.ndarray) -> list[float]:
    """For each of two clusterings, the ACC of the variable that tells it better."""
    variables = np.unravel_index(found, (K, K))
    return [max(clustering_accuracy(y, variable) for variable in variables) for y in labels.T]
