"""A Gaussian mixture pushed through a random network: NVISA, its start, and k-means."""

from typing import Any, NamedTuple

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.metrics import clustering_accuracy
from anabranch.problems import HiddenBlobs

PROBLEM = HiddenBlobs()
K, ROWS = PROBLEM.n_components, 4000
SETTINGS: dict[str, Any] = {
    "latent": len(PROBLEM.stds),
    "hidden": [100, 100],
    "start__epochs": 20,
    "max_epochs": 30,
}


class Score(NamedTuple):
    """Accuracies, and the entropy of the mean of q in nats."""

    seed: int
    best_possible: float
    kmeans: float
    start: float
    nvisa: float
    from_random_weights: float
    entropy_of_mean_q: float


@experiment(
    "nvisa-blobs", seeds=5, summary="NVISA on a Gaussian mixture pushed through a random network"
)
def nvisa_blobs(run: Run) -> Outcome:
    """Clusters of a few latent variables, seen through 64 features."""
    rows = per_seed(run.seeds, score)
    nvisa, k_means = rows.mean("nvisa"), rows.mean("kmeans")
    random = rows.mean("from_random_weights")
    figures = [
        Figure("mean ACC, NVISA-VIMCO with annealing", nvisa, 0.95, "higher"),
        Figure("the same less that of k-means", nvisa - k_means, 0.10, "higher"),
        Figure("worst ACC, NVISA-VIMCO with annealing", rows.worst("nvisa")),
        Figure("mean ACC, k-means", k_means),
        Figure("mean ACC, autoencoder + Gaussian mixture, the start", rows.mean("start")),
        Figure("mean ACC, NVISA-VIMCO with annealing from random weights", random),
        Figure("mean ACC, the true posterior of the true latents", rows.mean("best_possible")),
        Figure("seconds per seed", rows.seconds),
    ]
    settings = {"n": ROWS, "features": PROBLEM.n_features, "K": K, "objective": "vimco", **SETTINGS}
    settings |= {"stds": list(PROBLEM.stds), "apart": PROBLEM.apart}
    settings |= {"gain": PROBLEM.gain, "noise": PROBLEM.noise}
    return Outcome(figures, settings, rows.table())


def score(seed: int) -> Score:
    """Fit from an autoencoder and from random weights, beside k-means."""
    X, labels, best = PROBLEM.sample(ROWS, random_state=seed)
    model, random = (DeepMixture(K, random_state=seed).set_params(**SETTINGS) for _ in range(2))
    start: Any = model.fit(X).start_labels_
    random.set_params(start="random").fit(X)
    standardised = (X - X.mean(0)) / X.std(0)
    k_means = kmeans(standardised, K, seed).predict(standardised)
    return Score(
        seed,
        best_possible=best,
        kmeans=clustering_accuracy(labels, k_means),
        start=clustering_accuracy(labels[model.train_rows_], start),
        nvisa=clustering_accuracy(labels, model.predict(X)),
        from_random_weights=clustering_accuracy(labels, random.predict(X)),
        entropy_of_mean_q=model.history_[-1]["validation_entropy_mean_q"],
    )
