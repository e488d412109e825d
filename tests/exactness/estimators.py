"""A small fit of each estimator in each of its ways."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.exactness import today
from tests.exactness.data import Array, arcs, bounded, corners, curved, pixels, rows, some
from tests.exactness.measures import Record, digest, number, numbers

Fit = Callable[[Any], Any]


@dataclass(frozen=True)
class EstimatorCase:
    """An estimator with settings under their recorded names, and how it is fitted.

    Attributes:
        system: name of the estimator.
        settings: of it.
        X: rows.
        given: further arguments of ``fit``.
        context: of the first eight rows, for the scores.
        fit: what is done instead of ``fit(X, **given)``.
    """

    system: str
    settings: dict[str, Any]
    X: Array
    given: dict[str, Any] = field(default_factory=dict)
    fit: Fit | None = None

    def fitted(self, *, resume: bool = False, **changes: Any) -> Any:
        """The estimator after its fit; changes are of its settings."""
        estimator = today.estimator(self.system, **{**self.settings, **changes})
        if self.fit:
            return self.fit(estimator)
        given = {**self.given, "resume": True} if resume else self.given
        return estimator.fit(self.X, **given)

    def record(self) -> Record:
        """What came out."""
        fitted = self.fitted()
        found: Record = {
            "parameters": digest(today.parameters(fitted)),
            "runs": [_end(history) for history in today.histories(fitted)],
        }
        for name in ("n_components_", "n_iter_", "lower_bound_"):
            if hasattr(fitted, name):
                found[name] = number(getattr(fitted, name))
        return {**found, **self.scores(fitted)}

    def scores(self, fitted: Any) -> Record:
        """Scores of the first eight rows, and a few draws."""
        X = self.X[:8]
        context = {k: v[:8] for k, v in self.given.items() if k == "context"}
        names = ("score_samples", "predict_proba", "transform")
        if getattr(fitted, "layout", None) is not None:  # angles have no latents
            names = names[:2]
        if str(self.settings.get("method")).startswith("ltvae"):
            names += ("predict_facets",)
        found = {
            name: numbers(getattr(fitted, name)(X, **context))
            for name in names
            if hasattr(fitted, name)
        }
        if hasattr(fitted, "sample") and not context:
            found["draws"] = numbers(_rows_of(fitted.sample(3, random_state=0)))
        return found


def _rows_of(drawn: Any) -> Any:
    """The rows of a sample, which a mixture gives together with their components."""
    return drawn[0] if isinstance(drawn, tuple) else drawn


def _end(history: list[dict[str, float]]) -> dict[str, float]:
    names = ("epoch", "step", "train_loss", "validation_loss")
    return {name: number(history[-1][name]) for name in names if name in history[-1]}


# -- the cases ------------------------------------------------------------------------------------

ARCS, ARC_LABELS = arcs()
CORNERS, _ = corners()
PIXELS, _ = pixels()
CURVED, CURVED_LABELS = curved()
BOUNDED = bounded()
CLASSES = np.eye(2)[ARC_LABELS]
WIDE = rows(80, 130)

FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
MLP = {"name": "mlp", "hidden": [8]}
MAF = {"name": "maf", "n_layers": 2, "hidden": [8]}


def mixture(X: Array = ARCS, given: dict[str, Any] | None = None, **changes: Any) -> EstimatorCase:
    """A FlowMixture that training does change."""
    settings = {
        "n_components": 2,
        "flow": FLOW,
        "posterior": MLP,
        "covariance_type": "full",
        "init_params": "kmeans",
        "max_epochs": 8,
        "batch_size": 64,
        "learning_rate": 0.01,
        "random_state": 0,
    }
    return EstimatorCase("FlowMixture", {**settings, **changes}, X, given or {})


def flow_gmm(**changes: Any) -> EstimatorCase:
    """A FlowGMM, some of whose rows have labels."""
    settings = {"flow": FLOW, "max_epochs": 8, "batch_size": 64, "learning_rate": 0.01}
    settings = {"n_components": 2, **settings, "covariance_type": "full", "random_state": 0}
    return EstimatorCase("FlowGMM", {**settings, **changes}, ARCS, {"y": some(ARC_LABELS)})


def gaussians(X: Array = ARCS, given: Any = None, **changes: Any) -> EstimatorCase:
    """A GaussianMixture that takes several steps."""
    settings = {"n_components": 3, "max_iter": 30, "random_state": 0}
    return EstimatorCase("GaussianMixture", {**settings, **changes}, X, given or {})


def density(X: Array = ARCS, given: Any = None, **changes: Any) -> EstimatorCase:
    """A FlowDensity."""
    settings = {"flow": MAF, "max_epochs": 10, "batch_size": 64, "learning_rate": 0.01}
    settings["random_state"] = 0
    return EstimatorCase("FlowDensity", {**settings, **changes}, X, given or {})


def rad(X: Array = CORNERS, **changes: Any) -> EstimatorCase:
    """A RAD of two folds."""
    settings = {"n_folds": 2, "n_between": 1, "n_last": 1, "hidden": [4], "max_epochs": 6}
    settings |= {"learning_rate": 0.01, "random_state": 0}
    return EstimatorCase("RAD", {**settings, **changes}, X)


def deep(X: Array = CURVED, given: Any = None, **changes: Any) -> EstimatorCase:
    """A DeepMixture."""
    settings = {"n_components": 3, "latent": 2, "hidden": [8], "max_epochs": 3, "init_epochs": 4}
    # units of tanh do not die: what other kernels round makes less of a difference
    settings |= {"activation": "tanh", "batch_size": 40, "n_score_samples": 5, "random_state": 0}
    return EstimatorCase("DeepMixture", {**settings, **changes}, X, given or {})


def clustering(method: str, X: Array = CURVED, **changes: Any) -> EstimatorCase:
    """A DeepClustering."""
    settings = {"n_components": 3, "method": method, "latent": 2, "hidden": [8], "n_init": 2}
    settings |= {"pretrain_epochs": 4, "max_epochs": 4, "batch_size": 40, "refresh": 5}
    settings |= {"tol": 0.0, "random_state": 0}
    return EstimatorCase("DeepClustering", {**settings, **changes}, X)


def _twice(X: Array) -> Fit:
    return lambda estimator: estimator.fit(X).fit(X)


def _given_autoencoder(estimator: Any) -> Any:
    first = clustering("ae+gmm", pretrain_epochs=5).fitted()
    return estimator.set_params(start=first).fit(CURVED)


_HALF = {"y": some(ARC_LABELS)}
_START = {
    "weights_init": [0.2, 0.3, 0.5],
    "means_init": ARCS[:3].tolist(),
    "precisions_init": np.broadcast_to(np.eye(2), (3, 2, 2)).tolist(),
}

CASES: dict[str, EstimatorCase] = {
    # FlowMixture: what is fitted
    "FlowMixture": mixture(),
    "FlowMixture: maf": mixture(flow=MAF),
    "FlowMixture: actnorm": mixture(flow={**FLOW, "norm": "actnorm"}),
    "FlowMixture: batchnorm": mixture(flow={**MAF, "norm": "batchnorm"}),
    "FlowMixture: rnade": mixture(flow={"name": "rnade", "hidden": 4, "components": 2}),
    "FlowMixture: trunk": mixture(flow=None, trunk=FLOW),
    "FlowMixture: Gaussians": mixture(flow=None, n_components=3),
    "FlowMixture: unlike flows": mixture(flow=[FLOW, MAF], n_init=2),
    "FlowMixture: one column": mixture(ARCS[:, :1]),
    "FlowMixture: wide": mixture(WIDE, covariance_type="diag", max_epochs=3),
    "FlowMixture: levels": mixture(PIXELS, model_options={"levels": 8}),
    # how
    "FlowMixture: variational": mixture(inference="variational"),
    "FlowMixture: variational by epochs": mixture(
        inference="variational",
        temperature_unit="epoch",
        temperature_decay=0.1,
        temperature_floor=0.5,
    ),
    "FlowMixture: invariant": mixture(inference="invariant", invariant_steps=30, n_init=2),
    "FlowMixture: em": mixture(algorithm="em"),
    "FlowMixture: patience": mixture(patience=1, learning_rate=0.05, max_epochs=60),
    "FlowMixture: cosine": mixture(patience=None),
    "FlowMixture: average": mixture(
        weight_decay=0.01, fit_options={"average": 0.9, "clip_norm": 1.0}
    ),
    "FlowMixture: learning rate": mixture(learning_rate="auto"),
    "FlowMixture: warm start": EstimatorCase(
        "FlowMixture",
        {**mixture().settings, "max_epochs": 4, "warm_start": True},
        ARCS,
        fit=_twice(ARCS),
    ),
    "FlowMixture: X_val": mixture(given={"X_val": arcs(80, seed=1)[0]}),
    "FlowMixture: no validation": mixture(validation_fraction=0.05, snapshots=3),
    "FlowMixture: hedged": mixture(model_options={"hedge": True}),
    # weights
    "FlowMixture: exact weights": mixture(weights="exact"),
    "FlowMixture: weights of q": mixture(weights="network", inference="variational"),
    "FlowMixture: uniform weights": mixture(weights="uniform"),
    "FlowMixture: given weights": mixture(weights=[0.3, 0.7]),
    # starts
    "FlowMixture: auto": mixture(
        CORNERS, n_components="auto", max_components=6, component_cost=0.1, max_epochs=4
    ),
    "FlowMixture: auto start": mixture(init_params="auto", covariance_type="auto", max_epochs=4),
    "FlowMixture: gmm": mixture(init_params="gmm", covariance_type="tied"),
    "FlowMixture: random": mixture(init_params="random", n_init=2, covariance_type="spherical"),
    "FlowMixture: spectral": mixture(init_params="spectral"),
    # regularised
    "FlowMixture: noise": mixture(consistency=0.5, balance=0.1, inference="variational"),
    "FlowMixture: adversarial": mixture(
        consistency=0.5, perturbation="adversarial", inference="variational"
    ),
    "FlowMixture: affine": mixture(
        PIXELS,
        levels=8,
        inference="variational",
        posterior={"name": "conv", "image_shape": [2, 4], "channels": [3], "hidden": [4]},
        consistency=0.5,
        perturbation={"name": "affine", "image_shape": [2, 4]},
    ),
    # labels
    "FlowMixture: labels": mixture(given=_HALF, n_components=None, label_weight=2.0),
    "FlowMixture: labels in turn": mixture(
        given=_HALF, semi_supervised="alternate", pretrain_epochs=2
    ),
    "FlowMixture: labels of q": mixture(given=_HALF, inference="variational", init_params="auto"),
    "FlowMixture: soft labels": mixture(
        given={"y": np.where(np.arange(240)[:, None] < 30, 0.8 * CLASSES + 0.1, 0.0)}
    ),
    # FlowGMM
    "FlowGMM": flow_gmm(),
    "FlowGMM: random": flow_gmm(means="random", spread=2.0),
    "FlowGMM: fixed": flow_gmm(fixed_means=True),
    "FlowGMM: consistency": flow_gmm(consistency=0.5, semi_supervised="alternate"),
    # GaussianMixture
    **{f"GaussianMixture: {k}": gaussians(covariance_type=k) for k in ("full", "tied", "diag")},
    "GaussianMixture: spherical": gaussians(covariance_type="spherical"),
    "GaussianMixture: k-means++": gaussians(init_params="k-means++", n_init=3),
    "GaussianMixture: random": gaussians(init_params="random_from_data", n_init=3, tol=1e-6),
    "GaussianMixture: given start": gaussians(**_START),
    "GaussianMixture: labels": gaussians(given={"y": some(ARC_LABELS)}, n_components=None),
    "GaussianMixture: priors": gaussians(
        weight_concentration_prior=2.0, covariance_prior=0.5, degrees_of_freedom_prior=4.0
    ),
    "GaussianMixture: auto": gaussians(
        CORNERS, n_components="auto", max_components=8, max_iter=100
    ),
    # FlowDensity
    "FlowDensity": density(flow={"name": "nsf", "n_layers": 1, "hidden": [8], "bins": 4}),
    "FlowDensity: maf": density(),
    "FlowDensity: actnorm": density(flow={**FLOW, "norm": "actnorm"}),
    "FlowDensity: Gaussian": density(flow=None),
    "FlowDensity: starts": density(ARCS[:120], n_init=2, max_epochs=5),
    "FlowDensity: hedged": density(hedge=True),
    "FlowDensity: cosine": density(patience=None),
    "FlowDensity: levels": density(PIXELS, levels=8),
    "FlowDensity: context": density(given={"context": CLASSES}),
    "FlowDensity: X_val": density(
        given={
            "context": ARCS[:, :1] ** 2,
            "X_val": arcs(60, seed=1)[0],
            "context_val": arcs(60, seed=1)[0][:, :1] ** 2,
        }
    ),
    "FlowDensity: bounds": density(BOUNDED, support={0: "positive", 1: "unit", 2: "angle"}),
    "FlowDensity: bounds given": density(
        BOUNDED, support={0: (0, None), 1: (-1, 2), 2: {"period": 7.0}}
    ),
    "FlowDensity: rnade": density(flow={"name": "rnade", "hidden": 4, "components": 2}),
    "FlowDensity: bnaf": density(flow={"name": "bnaf", "hidden": [4]}),
    # RAD
    "RAD": rad(),
    "RAD: three branches": rad(fold="tri", n_folds=1, n_init=2),
    # DeepMixture
    "DeepMixture": deep(),
    "DeepMixture: relu": deep(activation="relu"),
    **{f"DeepMixture: {o}": deep(objective=o) for o in ("enumerate", "iwae", "nvil", "gumbel")},
    "DeepMixture: mean field": deep(posterior="mean_field", reparameterized=True, samples=4),
    "DeepMixture: flows": deep(prior={"name": "realnvp", "n_layers": 2, "hidden": [4]}),
    "DeepMixture: classifier": deep(classifier="mlp", weight_decay=0.01),
    "DeepMixture: random": deep(init_params="random", std_first=None),
    "DeepMixture: annealing": deep(std_first=0.5, std_last=0.05, std_share=0.5, rate_halvings=2),
    "DeepMixture: invariant": deep(init_params="invariant", invariant_steps=10, n_init=2),
    "DeepMixture: starts": deep(n_init=2),
    "DeepMixture: consistency": deep(consistency=0.5, balance=0.1, perturbation="noise"),
    "DeepMixture: labels": deep(given={"y": some(CURVED_LABELS)}, label_weight=2.0),
    "DeepMixture: images": deep(
        PIXELS,
        n_components=2,
        levels=8,
        network={"name": "conv", "image_shape": [2, 4], "channels": [3], "hidden": [8]},
    ),
    "DeepMixture: bernoulli": deep(PIXELS / 7, n_components=2, likelihood="bernoulli"),
    "DeepMixture: bfloat16": deep(half_precision=True, max_epochs=10),
    # DeepClustering
    **{
        f"DeepClustering: {method}": clustering(method)
        for method in ("ae+gmm", "vae+gmm", "dec", "idec", "vade", "gmvae", "ltvae-gmm")
    },
    "DeepClustering: ltvae": clustering("ltvae", n_components=2),
    "DeepClustering: mixae": clustering("mixae"),
    "DeepClustering: gmgan": clustering("gmgan", curved(800)[0], batch_size=200),
    "DeepClustering: mixae from nothing": clustering("mixae", pretrain_epochs=0),
    "DeepClustering: gmvae from nothing": clustering(
        "gmvae", latent=3, pretrain_epochs=0, model_options={"information": 1.0}, random_state=3
    ),
    "DeepClustering: levels": clustering("vade", PIXELS, n_components=2, levels=8),
    "DeepClustering: corruption": clustering("idec", corruption=0.2, clustering_rate=1e-2),
    "DeepClustering: given autoencoder": EstimatorCase(
        "DeepClustering", clustering("idec").settings, CURVED, fit=_given_autoencoder
    ),
}
