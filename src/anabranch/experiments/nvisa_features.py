"""NVISA on feature vectors that a network has made already: 2048 of them, with known clusters."""

from typing import Any, NamedTuple

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.seeded import table_of_means
from anabranch.metrics import clustering_accuracy
from anabranch.problems import HiddenBlobs

# As the 2048 features of a ResNet-50: far more than the clusters need.
FEATURES, LATENTS = 2048, 10
STDS = (1.5, *(0.3,) * (LATENTS - 1))
SETTINGS: dict[str, Any] = {
    "latent": LATENTS,
    "hidden": [128],
    "start": {"name": "autoencoder", "epochs": 30},
}
# Components, rows, draws of the bound as in the paper, and epochs.
SIZES = {10: (2000, 15, 15), 100: (4000, 50, 6)}


class Score(NamedTuple):
    """Accuracies of one draw."""

    best_possible: float
    kmeans: float
    start: float
    nvisa: float


@experiment("nvisa-features", seeds=2, summary="NVISA on 2048 features, with 10 and 100 clusters")
def nvisa_features(run: Run) -> Outcome:
    """As many clusters as CIFAR-10 and CIFAR-100 have, with as many draws as the paper takes."""
    found = {f"K = {k}": per_seed(run.seeds, score, k) for k in SIZES}
    figures = []
    for name, rows in found.items():
        gain = rows.mean("nvisa") - rows.mean("kmeans")
        figures += [
            Figure(f"mean ACC, {name}", rows.mean("nvisa"), 0.95, "higher"),
            Figure(f"the same less that of k-means, {name}", gain, 0.0, "higher"),
            Figure(f"mean ACC of the start, {name}", rows.mean("start")),
            Figure(f"mean ACC of k-means, {name}", rows.mean("kmeans")),
            Figure(f"mean ACC of the true posterior, {name}", rows.mean("best_possible")),
            Figure(f"seconds per seed, {name}", rows.seconds),
        ]
    sizes = {k: dict(zip(("rows", "samples", "epochs"), v, strict=True)) for k, v in SIZES.items()}
    settings = {"features": FEATURES, "stds": STDS, "sizes": sizes, **SETTINGS}
    return Outcome(figures, settings, table_of_means("clusters", found))


def score(seed: int, k: int) -> Score:
    """Fit to one draw, beside k-means."""
    n, samples, epochs = SIZES[k]
    X, labels, best = HiddenBlobs(k, FEATURES, STDS).sample(n, random_state=seed)
    objective = {"name": "vimco", "samples": samples}
    model = DeepMixture(k, objective=objective, max_epochs=epochs, random_state=seed)
    model.set_params(**SETTINGS).fit(X)
    start: Any = model.start_labels_
    standardised = (X - X.mean(0)) / X.std(0)
    return Score(
        best,
        kmeans=clustering_accuracy(labels, kmeans(standardised, k, seed).predict(standardised)),
        start=clustering_accuracy(labels[model.train_rows_], start),
        nvisa=clustering_accuracy(labels, model.predict(X)),
    )
