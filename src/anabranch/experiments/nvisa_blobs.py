"""Clusters pushed through a random network: NVISA, its start, k-means, and flows for a prior."""

from typing import Any, NamedTuple

import numpy as np

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, table_of_means
from anabranch.experiments.baselines import kmeans
from anabranch.metrics import clustering_accuracy
from anabranch.problems import HiddenBlobs, Pinwheel, through_network

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


WINGS = Pinwheel(n_components=3)
WING, FEATURES, GAIN, NOISE = 400, 16, 0.7, 0.03
# A decoder that is too small to bend the clusters by itself.
BENT: dict[str, Any] = {
    "latent": 2,
    "hidden": [12],
    "objective": "enumerate",
    "start__epochs": 20,
    "max_epochs": 60,
    "fit_options__batch_size": 128,
}
PRIORS: dict[str, Any] = {
    "Gaussians": "gaussian",
    "flows": {"name": "realnvp", "n_layers": 8, "hidden": [16]},
}


class Prior(NamedTuple):
    """Accuracy, and log p(x) of held-out rows in nats by importance sampling."""

    seed: int
    acc: float
    nats: float


@experiment(
    "nvisa-flow-prior", seeds=5, summary="NVISA on bent clusters, with Gaussians and with flows"
)
def nvisa_flow_prior(run: Run) -> Outcome:
    """A pinwheel seen through a random network: flows for the clusters of the latents."""
    rows = {name: per_seed(run.seeds, with_prior, prior) for name, prior in PRIORS.items()}
    gaussians, flows = rows.values()
    more, nats = (flows.mean(name) - gaussians.mean(name) for name in ("acc", "nats"))
    figures = [
        Figure("mean ACC with flows less that with Gaussians", more, 0.0, "higher"),
        Figure("held-out nats with flows above those with Gaussians", nats, 0.0, "higher"),
        *(Figure(f"mean ACC with {name}", found.mean("acc")) for name, found in rows.items()),
        *(Figure(f"worst ACC with {name}", found.worst("acc")) for name, found in rows.items()),
    ]
    settings = {"rows of a wing": WING, "features": FEATURES, "gain": GAIN, "noise": NOISE}
    settings |= {"K": WINGS.n_components, "priors": PRIORS, **BENT}
    return Outcome(figures, settings, table_of_means("prior", rows))


def with_prior(seed: int, prior: Any) -> Prior:
    """Fit with one prior of a cluster's latents."""
    z, y = WINGS.sample_per_component(2 * WING, random_state=seed)
    random = np.random.RandomState(seed)
    seen = through_network(z / z.std(), FEATURES, GAIN, random)
    seen += NOISE * random.normal(size=seen.shape)
    order = random.permutation(len(seen))
    train, test = np.split(order, 2)
    X, V = seen[train], seen[test]
    model = DeepMixture(WINGS.n_components, model_options={"prior": prior}, random_state=seed)
    model.set_params(**BENT).fit(X)
    return Prior(seed, clustering_accuracy(y[train], model.predict(X)), model.score(V))
