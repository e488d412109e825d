"""All methods of deep clustering on scikit-learn's digits, and what each has to be better than."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from anabranch.estimators import DeepMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, text_table
from anabranch.experiments.baselines import best_gaussian_mixture
from anabranch.experiments.clustering_table import METHODS, Score, done, scores_of
from anabranch.metrics import clustering_accuracy

Array = NDArray[np.float64]
K, LEVELS, LATENT = 10, 17, 10
SETTINGS: dict[str, Any] = {
    "rows": None,  # all
    "network": {"latent": LATENT, "hidden": (200, 200), "levels": LEVELS},
    "DeepClustering": {"pretrain": {"epochs": 150}, "max_epochs": 100},
    "n_init": 5,
    "methods": {
        "gmgan": {"pretrain": None},
        "mixae": {"model_options": {"hidden": (64,), "latent": 4}},
        "nvisa": {
            "start__epochs": 100,
            "max_epochs": 60,
            "schedule__std_first": 0.1,
            "objective__samples": 5,
        },
        "nvisa, consistent": {
            "start__name": "invariant",
            "consistency__steps": 1000,
            "n_init": 2,
            "model_options__classifier": {"name": "mlp", "hidden": [256, 256]},
            "consistency__perturbation": {"name": "affine", "image_shape": [8, 8], "noise": 0.1},
            "start__epochs": 20,
            "max_epochs": 20,
        },
    },
}
# EnumY from random networks, with the first bound of D = 64 or with the last one all along.
RANDOM: dict[str, Any] = {
    "objective": "enumerate",
    "start": "random",
    "schedule__std_last": 1e-2,
    "max_epochs": 120,
}
# Those that train on from a mixture of codes.
STARTED = ("vade", "gmvae", "ltvae-gmm", "ltvae")
HEADER = ["method", "ACC", "std", "worst", "ACC before", "s"]


class Further(NamedTuple):
    """Squared errors of an autoencoder and of PCA; accuracies of simpler models."""

    curve: float
    line: float
    diagonal: float
    annealed: float
    plain: float


@experiment(
    "clustering-digits",
    seeds=3,
    summary="scikit-learn's digits by all methods of deep clustering, beside k-means",
)
def clustering_digits(run: Run) -> Outcome:
    """Accuracies on the rows that are clustered, and differences from what is simpler."""
    part: Any = load_digits(return_X_y=True)
    X, y = part
    found: dict[str, list[Score]] = {method: [] for method in METHODS}
    further: list[Further] = []
    for seed in run.seeds:
        coders: dict[str, Any] = {}
        for method, score in scores_of(part, part, SETTINGS, seed, coders).items():
            found[method].append(score)
        errors = _reconstruction(coders["ae+gmm"], X)
        pixels = best_gaussian_mixture(X, X, [K], seed, covariance_types=["diag"])
        diagonal = clustering_accuracy(y, pixels.predict(X))
        random = (_random(X, y, seed, how) for how in ("auto", None))
        further.append(Further(*errors, diagonal, *random))
    table = text_table(HEADER, [_row(method, found[method]) for method in METHODS])
    settings = {**SETTINGS, "random": RANDOM}
    return Outcome(_figures(found, Rows(further)), settings, table)


def _reconstruction(coder: Any, X: Array) -> tuple[float, float]:
    """Mean squared errors of an autoencoder and of as many principal components, of all pixels."""
    shares = X / (LEVELS - 1)
    linear = PCA(LATENT).fit(shares)
    line = linear.inverse_transform(linear.transform(shares))
    model = coder.model_
    x = next(model.parameters()).new_tensor(shares)
    curve = model.decode(model.encode(x)).detach().double().numpy()
    return tuple(float(np.square(shares - seen).mean()) for seen in (curve, line))  # pyright: ignore


def _random(X: Array, y: NDArray[Any], seed: int, first: str | None) -> float:
    how = {**SETTINGS["network"], **RANDOM, "schedule__std_first": first}
    model = DeepMixture(K, random_state=seed).set_params(**how).fit(X)
    return clustering_accuracy(y, model.predict(X))


def _row(method: str, scores: list[Score]) -> list[Any]:
    rows = done(scores)
    told = [rows.mean("test"), rows.std("test"), rows.worst("test"), rows.mean("before")]
    return [method, *told, rows.mean("seconds")]


def _figures(found: dict[str, list[Score]], further: Rows[Further]) -> list[Figure]:
    accuracy = {name: done(some).mean("test") for name, some in found.items()}
    before = {name: done(some).mean("before") for name, some in found.items()}
    error = further.mean("curve") / further.mean("line")
    diagonal, annealed = further.mean("diagonal"), further.mean("annealed")
    mixture, centers = accuracy["ae+gmm"], before["dec"]
    return [
        Figure("squared error of the autoencoder over that of PCA", error, 1.0, "lower"),
        Figure("ae+gmm less a diagonal mixture of pixels", mixture - diagonal, -0.02, "higher"),
        Figure("dec less its k-means", accuracy["dec"] - centers, 0.0, "higher"),
        Figure("idec less its k-means", accuracy["idec"] - centers, 0.0, "higher"),
        Figure("vade less ae+gmm", accuracy["vade"] - mixture, 0.0, "higher"),
        Figure("mixae less k-means on codes", accuracy["mixae"] - centers, -0.03, "higher"),
        Figure("nvisa less its start", accuracy["nvisa"] - before["nvisa"], -0.02, "higher"),
        Figure(
            "EnumY from nothing, annealed less not",
            annealed - further.mean("plain"),
            0.03,
            "higher",
        ),
        Figure("ltvae less ltvae-gmm", accuracy["ltvae"] - accuracy["ltvae-gmm"]),
        *(Figure(f"{name} less its start", accuracy[name] - before[name]) for name in STARTED),
        *(Figure(f"ACC of {name}", value) for name, value in accuracy.items()),
        Figure("ACC of EnumY from nothing, annealed", annealed),
        Figure("ACC of a diagonal mixture of pixels", diagonal),
    ]
