"""The future work of the thesis, idea by idea: each an option of `FlowMixture`."""

import time
from typing import Any, NamedTuple

import numpy as np

from anabranch.estimators import FlowMixture
from anabranch.experiments import (
    Figure,
    Outcome,
    Run,
    experiment,
    joined,
    per_seed,
    table_of_means,
)
from anabranch.experiments.flow_gmm import few_labels
from anabranch.experiments.pinwheel import picture
from anabranch.metrics import clustering_accuracy
from anabranch.models.counting import free_parameters
from anabranch.problems import Pinwheel, TwoCircles, sample_unbalanced, unlike_gaussians
from anabranch.procedures.mixture_options import ModelOptions

WING, RING, HELD_OUT = 512, 512, 10_000
NOISE = 0.03
RINGS = TwoCircles(radial_std=0.05)
# From the rings that a cut of the neighbourhood graph finds: from k-means, as from a random q, both
# end at half planes, which noise moves least of all that are not rings.
UNLABELLED: dict[str, dict[str, Any]] = {
    name: {"inference": "variational", "init_params": "spectral", "consistency": how}
    for name, how in {
        "none": None,
        "noise": {"weight": 10.0, "perturbation": {"name": "noise", "scale": 0.2}},
        "adversarial": {"weight": 50.0, "perturbation": {"name": "adversarial", "radius": 0.1}},
    }.items()
}
# The thesis' model with the same labels, and what consistency adds to it.
LABELLED: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in how.items() if key != "init_params"}
    for name, how in UNLABELLED.items()
}


class Shared(NamedTuple):
    """Held-out NLL in nats and accuracies, with and without a trunk; parameters, and the fit."""

    seed: int
    unshared_nll: float
    unshared_acc: float
    shared_nll: float
    shared_acc: float
    parameters: list[int]
    mixture: FlowMixture
    X: Any


@experiment(
    "vmonf-weight-sharing",
    seeds=5,
    summary="pinwheel: a trunk of six couplings for all wings and two of their own, or eight each",
)
def weight_sharing(run: Run) -> Outcome:
    """Parameters and held-out density with and without a shared trunk."""
    variants: dict[str, dict[str, Any]] = {
        "unshared": {"flow": {"name": "realnvp", "n_layers": 8}},
        "shared": {
            "flow": {"name": "realnvp", "n_layers": 2},
            "model_options": {"trunk": {"name": "realnvp", "n_layers": 6}},
        },
    }

    def one(seed: int) -> Shared:
        X, y = Pinwheel().sample_per_component(WING, random_state=seed)
        held_out, _ = Pinwheel().sample(HELD_OUT, random_state=10_000 + seed)
        fits = [FlowMixture(5, random_state=seed, **how).fit(X) for how in variants.values()]
        found = [(-m.score(held_out), clustering_accuracy(y, m.predict(X))) for m in fits]
        parameters = [free_parameters(m.model_.mixture) for m in fits]
        return Shared(seed, *found[0], *found[1], parameters, fits[-1], X)

    rows = per_seed(run.seeds, one)
    alone, shared = rows[-1].parameters
    above = rows.mean("shared_nll") - rows.mean("unshared_nll")
    figures = [
        Figure("share of the parameters", shared / alone, 0.45, "lower"),
        Figure("mean held-out NLL above the unshared one, nats", above, 0.1, "lower"),
        Figure("unshared, mean held-out NLL, nats", rows.mean("unshared_nll")),
        Figure("shared, mean ACC", rows.mean("shared_acc")),
        Figure("unshared, mean ACC", rows.mean("unshared_acc")),
        Figure("unshared, parameters", alone),
    ]
    pictures = {"shared.png": picture(rows[-1].mixture, rows[-1].X)}
    return Outcome(figures, variants, rows.table(), pictures)


class Counts(NamedTuple):
    """Components found, accuracy and seconds of the wings; last their fit and rows."""

    seed: int
    wings_found: int
    acc: float
    s: float
    gaussians_found: int
    mixture: FlowMixture
    X: Any


@experiment(
    "vmonf-annihilation",
    seeds=10,
    summary="how many: pinwheel from ten components, four Gaussians from twelve",
)
def annihilation(run: Run) -> Outcome:
    """Components that n_components="auto" ends with."""
    rows = per_seed(run.seeds, annihilated)
    wings, gaussians = rows.column("wings_found"), rows.column("gaussians_found")
    longest = rows.worst("s", better="lower")
    figures = [
        Figure("pinwheel: seeds that end with 5 of 10", (wings == 5).sum(), 8, "higher"),
        Figure("Gaussians: seeds that end with 4 of 12", (gaussians == 4).sum(), 9, "higher"),
        Figure("pinwheel, mean ACC", rows.mean("acc")),
        Figure("pinwheel, longest fit, seconds", longest),
    ]
    settings = {"component_cost": ModelOptions.component_cost, "rows": [5 * WING, 2000]}
    pictures = {"wings.png": picture(rows[-1].mixture, rows[-1].X)}
    return Outcome(figures, settings, rows.table(), pictures)


def annihilated(seed: int) -> Counts:
    """Begin with too many components of Gaussians, and of wings."""
    gaussians, _ = unlike_gaussians().sample(2000, random_state=seed)
    how: dict[str, Any] = {"n_components": "auto", "random_state": seed}
    few = FlowMixture(**how, flow=None, model_options={"max_components": 12}).fit(gaussians)
    X, y = Pinwheel().sample_per_component(WING, random_state=seed)
    started = time.perf_counter()
    mixture = FlowMixture(**how, model_options={"max_components": 10}).fit(X)
    seconds = time.perf_counter() - started
    accuracy = clustering_accuracy(y, mixture.predict(X))
    return Counts(seed, mixture.n_components_, accuracy, seconds, few.n_components_, mixture, X)


class Weights(NamedTuple):
    """Largest error of a mixture weight, accuracy, and the held-out score in nats."""

    seed: int
    error: float
    acc: float
    held_out: float


@experiment(
    "vmonf-prior-update",
    seeds=5,
    summary="mixture weights from q(c|x) or p(c|x) before every epoch: .6/.3/.1 found again",
)
def prior_update(run: Run) -> Outcome:
    """Weights that are updated, learned by gradients, and held uniform."""
    truth = np.array([0.6, 0.3, 0.1])
    variants: dict[str, dict[str, Any]] = {
        "network": {"inference": "variational", "model_options": {"weights": "network"}},
        "exact": {"inference": "exact", "model_options": {"weights": "exact"}},
        "learned": {"inference": "exact", "model_options": {"weights": "learned"}},
        "uniform": {"inference": "variational", "model_options": {"weights": "uniform"}},
    }

    def one(seed: int, how: dict[str, Any]) -> Weights:
        X, y = sample_unbalanced(Pinwheel(3), truth, 3000, seed)
        V, _ = sample_unbalanced(Pinwheel(3), truth, HELD_OUT, 10_000 + seed)
        mixture = FlowMixture(3, random_state=seed, **how).fit(X)
        error = float(np.abs(np.sort(mixture.weights_)[::-1] - truth).max())
        accuracy = clustering_accuracy(y, mixture.predict(X))
        return Weights(seed, error, accuracy, mixture.score(V))

    rows = {name: per_seed(run.seeds, one, how) for name, how in variants.items()}
    worst = {name: found.worst("error", better="lower") for name, found in rows.items()}
    network, uniform = rows["network"], rows["uniform"]
    gain = network.column("held_out") - uniform.column("held_out")
    more = network.mean("acc") - uniform.mean("acc")
    figures = [
        Figure("largest error of a weight, from q", worst["network"], 0.03, "lower"),
        Figure("largest error of a weight, from p(c|x)", worst["exact"], 0.03, "lower"),
        Figure("ACC above that of uniform weights", more, 0.1, "higher"),
        Figure("held-out gain over uniform weights, nats", gain.mean(), 0.0, "higher"),
        Figure("standard error of that gain over seeds", gain.std() / len(gain) ** 0.5),
        *(Figure(f"mean ACC, weights {name}", found.mean("acc")) for name, found in rows.items()),
        Figure("largest error of a weight, by gradients", worst["learned"]),
    ]
    settings = {"truth": truth.tolist(), **variants}
    return Outcome(figures, settings, table_of_means("weights", rows))


class Steadiness(NamedTuple):
    """Without labels: share of answers that noise changes, NLL, ACC; and ACC with few labels."""

    seed: int
    changed: float
    nll: float
    acc: float
    acc_4_labels: float


@experiment(
    "vmonf-consistency",
    seeds=5,
    summary="two circles: q(c|x) under noise with and without consistency; four labels a class",
)
def consistency(run: Run) -> Outcome:
    """How often noise changes the answer of q, and what consistency adds to VMoNF."""
    rows = {name: per_seed(run.seeds, steadiness, name) for name in UNLABELLED}
    none, noise = rows["none"], rows["noise"]
    taught = {name: found.mean("acc_4_labels") for name, found in rows.items()}
    drop = 1 - noise.mean("changed") / none.mean("changed")
    above = noise.mean("nll") - none.mean("nll")
    gain = taught["adversarial"] - taught["none"]
    figures = [
        Figure("drop of the share of changed answers", drop, 0.5, "higher"),
        Figure("held-out NLL above that without, nats", above, 0.05, "lower"),
        Figure("gain of ACC with four labels a class", gain, 0.05, "higher"),
        Figure("changed answers without consistency", none.mean("changed")),
        Figure("changed answers with consistency", noise.mean("changed")),
        Figure("four labels a class, ACC of VMoNF without", taught["none"]),
        Figure("four labels a class, ACC with adversarial noise", taught["adversarial"]),
        Figure("four labels a class, ACC with noise that is not adversarial", taught["noise"]),
    ]
    settings = {"unlabelled": UNLABELLED, "labelled": LABELLED, "noise": NOISE}
    return Outcome(figures, settings, table_of_means("consistency", rows))


def steadiness(seed: int, name: str) -> Steadiness:
    """Judge q, fitted with one kind of consistency, without labels and with four of each class."""
    X, y = RINGS.sample_per_component(RING, random_state=seed)
    V, _ = RINGS.sample(HELD_OUT, random_state=10_000 + seed)
    moved = V + np.random.RandomState(seed).normal(0, NOISE, V.shape)
    mixture = FlowMixture(2, random_state=seed, **UNLABELLED[name]).fit(X)
    few = few_labels(y, 4, seed)
    taught = FlowMixture(2, random_state=seed, **LABELLED[name]).fit(X, few)
    return Steadiness(
        seed,
        changed=float((mixture.predict(V) != mixture.predict(moved)).mean()),
        nll=-mixture.score(V),
        acc=clustering_accuracy(y, mixture.predict(X)),
        acc_4_labels=float((taught.predict(X) == y)[few < 0].mean()),
    )


COMPLEXITIES: dict[str, Any] = {
    "inference": "variational",
    "init_params": "random",
    "max_epochs": 150,
}


class Complexity(NamedTuple):
    """Capacities, and what becomes of the components."""

    seed: int
    units_of_q: int
    couplings: int
    effective_k: float
    acc_of_q: float
    nll: float


@experiment(
    "vmonf-complexities",
    seeds=2,
    summary="pinwheel: what becomes of components as they and q get stronger, or one alone does",
)
def complexities(run: Run) -> Outcome:
    """Effective number of components, accuracy and density over the capacities of q and p(x|c).

    And how many rows a flow takes among Gaussians, whose part it can play and more.
    """
    pairs = [(width, n_layers) for width in (3, 64) for n_layers in (0, 2, 8, 16)]
    rows = {f"{pair[0]}, {pair[1]}": per_seed(run.seeds, complexity, *pair) for pair in pairs}
    every = joined(rows.values())
    weak, strong = every.where(couplings=0), every.where(couplings=16)
    unlike = per_seed(run.seeds, share_of_the_flow)
    figures = [
        Figure("share of rows of one flow among Gaussians", unlike.mean("share"), 0.4, "higher"),
        Figure("least of these shares", unlike.worst("share")),
        Figure("effective components, Gaussians", weak.mean("effective_k")),
        Figure("effective components, 16 couplings", strong.mean("effective_k")),
        Figure("mean ACC, Gaussians", weak.mean("acc_of_q")),
        Figure("mean ACC, 16 couplings", strong.mean("acc_of_q")),
    ]
    settings = {"max_epochs": COMPLEXITIES["max_epochs"], "start": "random", "couplings of one": 16}
    table = f"{table_of_means('q, p', rows)}\n\none flow among Gaussians\n{unlike.table()}"
    return Outcome(figures, settings, table)


def complexity(seed: int, width: int, n_layers: int) -> Complexity:
    """Fit with these units of q and couplings of a component."""
    X, y = Pinwheel().sample_per_component(WING, random_state=seed)
    V, _ = Pinwheel().sample(HELD_OUT, random_state=10_000 + seed)
    mixture = FlowMixture(
        5,
        model_options={"posterior": {"name": "mlp", "hidden": [width]}},
        flow={"name": "realnvp", "n_layers": n_layers} if n_layers else None,
        random_state=seed,
        **COMPLEXITIES,
    ).fit(X)
    mean_q = mixture.predict_proba(X).mean(0)
    effective = float(np.exp(-(mean_q * np.log(np.maximum(mean_q, 1e-12))).sum()))
    accuracy = clustering_accuracy(y, mixture.predict(X))
    return Complexity(seed, width, n_layers, effective, accuracy, -mixture.score(V))


class Share(NamedTuple):
    """Share of the rows that the one flow among Gaussians takes, which begins with a fifth."""

    seed: int
    share: float


def share_of_the_flow(seed: int) -> Share:
    """Fit sixteen couplings and four Gaussians to five wings."""
    X, _ = Pinwheel().sample_per_component(WING, random_state=seed)
    flows: list[Any] = [{"name": "realnvp", "n_layers": 16}, None, None, None, None]
    mixture = FlowMixture(5, flow=flows, random_state=seed, **COMPLEXITIES).fit(X)
    return Share(seed, float((mixture.predict(X) == 0).mean()))
