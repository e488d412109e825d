"""The future work of the thesis, idea by idea: each an option of `FlowMixture`."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.estimators.counting import free_parameters
from anabranch.estimators.mixture_plan import ModelOptions
from anabranch.experiments.flow_gmm import few_labels
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.pinwheel import picture
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy
from anabranch.problems import GaussianMixtureProblem, Pinwheel, TwoCircles

WING, RING, HELD_OUT = 512, 512, 10_000
NOISE = 0.03
RINGS = TwoCircles(radial_std=0.05)
# From the rings that a cut of the neighbourhood graph finds: from k-means, as from a random q, both
# end at half planes, which noise moves least of all that are not rings.
UNLABELLED: dict[str, dict[str, Any]] = {
    name: {"inference": "variational", "init_params": "spectral", "consistency": how}
    for name, how in {
        "none": {},
        "noise": {"weight": 10.0, "perturbation": {"name": "noise", "scale": 0.2}},
        "adversarial": {
            "weight": 50.0,
            "perturbation": {"name": "adversarial", "radius": 0.1},
        },
    }.items()
}
# A q that hears of labels and consistency only: the bound prefers half planes, and eight labels of
# a thousand rows do not outvote it. The weights are of the size of the labels' own share.
LABELLED: dict[str, dict[str, Any]] = {
    name: {
        "inference": "invariant",
        "consistency": {"steps": 1, "balance": 2e-3, **how},
        "fit_options": {"patience": 60},
    }
    for name, how in {
        "none": {"weight": 1e-6},  # as good as zero, which this inference refuses
        "noise": {"weight": 0.02, "perturbation": {"name": "noise", "scale": 0.2}},
        "adversarial": {
            "weight": 0.02,
            "perturbation": {"name": "adversarial", "radius": 0.2},
        },
    }.items()
}


TWELVE = {"max_components": 12}


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
    rows, n_parameters, mixture, X = [], {}, FlowMixture(5), np.empty((0, 2))
    for seed in run.seeds:
        X, y = Pinwheel().sample_per_component(WING, random_state=seed)
        held_out, _ = Pinwheel().sample(HELD_OUT, random_state=10_000 + seed)
        row: list[float] = [seed]
        for name, settings in variants.items():
            mixture = FlowMixture(5, random_state=seed, **settings).fit(X)
            n_parameters[name] = free_parameters(mixture.model_.mixture)
            row += [-mixture.score(held_out), clustering_accuracy(y, mixture.predict(X))]
        rows.append(row)
    _, unshared, unshared_acc, shared, shared_acc = np.mean(rows, axis=0)
    share = n_parameters["shared"] / n_parameters["unshared"]
    figures = [
        Figure("share of the parameters", share, 0.45, "lower"),
        Figure("mean held-out NLL above the unshared one, nats", shared - unshared, 0.1, "lower"),
        Figure("unshared, mean held-out NLL, nats", unshared),
        Figure("shared, mean ACC", shared_acc),
        Figure("unshared, mean ACC", unshared_acc),
        Figure("unshared, parameters", n_parameters["unshared"]),
    ]
    header = ["seed", "unshared NLL", "ACC", "shared NLL", "ACC"]
    return Outcome(figures, variants, text_table(header, rows), {"shared.png": picture(mixture, X)})


@experiment(
    "vmonf-annihilation",
    seeds=10,
    summary="how many: pinwheel from ten components, four Gaussians from twelve",
)
def annihilation(run: Run) -> Outcome:
    """Components that n_components="auto" ends with."""
    rows, mixture, X = [], FlowMixture("auto"), np.empty((0, 2))
    for seed in run.seeds:
        gaussians, _ = four_gaussians().sample(2000, random_state=seed)
        few = FlowMixture(
            "auto", flow=None, model_options={"max_components": 12}, random_state=seed
        )
        few.fit(gaussians)
        X, y = Pinwheel().sample_per_component(WING, random_state=seed)
        started = time.perf_counter()
        mixture = FlowMixture("auto", random_state=seed).fit(X)
        rows.append(
            [
                seed,
                mixture.n_components_,
                clustering_accuracy(y, mixture.predict(X)),
                time.perf_counter() - started,
                few.n_components_,
            ]
        )
    table = np.array(rows)
    figures = [
        Figure("pinwheel: seeds that end with 5 of 10", (table[:, 1] == 5).sum(), 8, "higher"),
        Figure("Gaussians: seeds that end with 4 of 12", (table[:, 4] == 4).sum(), 9, "higher"),
        Figure("pinwheel, mean ACC", table[:, 2].mean()),
        Figure("pinwheel, longest fit, seconds", table[:, 3].max()),
    ]
    header = ["seed", "wings found", "ACC", "s", "Gaussians found"]
    settings = {"component_cost": ModelOptions().component_cost, "rows": [5 * WING, 2000]}
    return Outcome(figures, settings, text_table(header, rows), {"wings.png": picture(mixture, X)})


def four_gaussians() -> GaussianMixtureProblem:
    """Four Gaussians of unlike size and shape that touch but hardly overlap."""
    return GaussianMixtureProblem(
        weights=np.array([0.3, 0.3, 0.2, 0.2]),
        means=np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [5.0, 5.0]]),
        covariances=np.array(
            [
                [[1.0, 0.5], [0.5, 1.0]],
                [[0.5, 0.0], [0.0, 1.5]],
                [[1.0, -0.6], [-0.6, 1.0]],
                [[0.4, 0.0], [0.0, 0.4]],
            ]
        ),
    )


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
    errors: dict[str, list[float]] = {name: [] for name in variants}
    bounds: dict[str, list[float]] = {name: [] for name in variants}
    for seed in run.seeds:
        problem = unbalanced_wings(truth)
        X, _ = problem(3000, seed)
        V, _ = problem(HELD_OUT, 10_000 + seed)
        for name, settings in variants.items():
            mixture = FlowMixture(3, random_state=seed, **settings).fit(X)
            errors[name].append(float(np.abs(np.sort(mixture.weights_)[::-1] - truth).max()))
            bounds[name].append(mixture.score(V))
    gain = float(np.mean(bounds["network"]) - np.mean(bounds["uniform"]))
    figures = [
        Figure("largest error of a weight, from q", max(errors["network"]), 0.03, "lower"),
        Figure("largest error of a weight, from p(c|x)", max(errors["exact"]), 0.03, "lower"),
        Figure("held-out gain over uniform weights, nats", gain, 0.0, "higher"),
        Figure("largest error of a weight, by gradients", max(errors["learned"])),
    ]
    rows = [[name, float(np.max(errors[name])), float(np.mean(bounds[name]))] for name in variants]
    table = text_table(["weights", "largest error", "held out, nats"], rows)
    return Outcome(figures, {"truth": truth.tolist(), **variants}, table)


def unbalanced_wings(weights: NDArray[np.float64]) -> Any:
    """Rows of a three-wing pinwheel whose wings hold these shares."""

    def sample(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        sizes = np.round(weights * n).astype(int)
        X, y = Pinwheel(3).sample_per_component(int(sizes.max()), random_state=seed)
        kept = np.concatenate([np.flatnonzero(y == k)[:size] for k, size in enumerate(sizes)])
        order = np.random.RandomState(seed).permutation(kept)
        return X[order], y[order]

    return sample


@experiment(
    "vmonf-consistency",
    seeds=5,
    summary="two circles: q(c|x) under noise with and without consistency; four labels a class",
)
def consistency(run: Run) -> Outcome:
    """How often noise changes the answer of q, and what consistency does to it."""
    rows = {name: np.mean([_steadiness(name, s) for s in run.seeds], axis=0) for name in UNLABELLED}
    none, noise = rows["none"], rows["noise"]
    taught = {name: float(np.mean([_taught(name, s) for s in run.seeds])) for name in LABELLED}
    gain = taught["adversarial"] - taught["none"]
    figures = [
        Figure("drop of the share of changed answers", 1 - noise[0] / none[0], 0.5, "higher"),
        Figure("held-out NLL above that without, nats", noise[1] - none[1], 0.05, "lower"),
        Figure("gain of ACC with four labels a class", gain, 0.05, "higher"),
        Figure("changed answers without consistency", none[0]),
        Figure("changed answers with consistency", noise[0]),
        Figure("four labels a class, ACC without", taught["none"]),
        Figure("four labels a class, ACC with", taught["adversarial"]),
        Figure("four labels a class, ACC with noise that is not adversarial", taught["noise"]),
    ]
    header = ["consistency", "changed", "NLL", "ACC", "ACC, 4 labels"]
    table = [[name, *map(float, row), taught[name]] for name, row in rows.items()]
    settings = {"unlabelled": UNLABELLED, "labelled": LABELLED, "noise": NOISE}
    return Outcome(figures, settings, text_table(header, table))


def _steadiness(name: str, seed: int) -> list[float]:
    """Share of held-out answers that noise changes, NLL, and accuracy, without labels."""
    X, y = RINGS.sample_per_component(RING, random_state=seed)
    V, _ = RINGS.sample(HELD_OUT, random_state=10_000 + seed)
    moved = V + np.random.RandomState(seed).normal(0, NOISE, V.shape)
    mixture = FlowMixture(2, random_state=seed, **UNLABELLED[name]).fit(X)
    return [
        float((mixture.predict(V) != mixture.predict(moved)).mean()),
        -mixture.score(V),
        clustering_accuracy(y, mixture.predict(X)),
    ]


def _taught(name: str, seed: int) -> float:
    """Accuracy of q on the rows without a label, where four of each class have one."""
    X, y = RINGS.sample_per_component(RING, random_state=seed)
    few = few_labels(y, 4, seed)
    mixture = FlowMixture(2, random_state=seed, **LABELLED[name]).fit(X, few)
    return float((mixture.predict(X) == y)[few < 0].mean())


@experiment(
    "vmonf-complexities",
    seeds=2,
    summary="pinwheel: what becomes of the components as they and q(c|x) get stronger",
)
def complexities(run: Run) -> Outcome:
    """Effective number of components, accuracy and density over the capacities of q and p(x|c)."""
    rows = []
    for width in (3, 64):
        for n_layers in (0, 2, 8, 16):
            settings: dict[str, Any] = {
                "inference": "variational",
                "init_params": "random",
                "model_options": {"posterior": {"name": "mlp", "hidden": [width]}},
                "flow": {"name": "realnvp", "n_layers": n_layers} if n_layers else None,
                "max_epochs": 150,
            }
            found = [_one(settings, seed) for seed in run.seeds]
            rows.append([width, n_layers, *map(float, np.mean(found, axis=0))])
    table = np.array(rows)
    weak, strong = table[table[:, 1] == 0], table[table[:, 1] == 16]
    figures = [
        Figure("effective components, Gaussians", weak[:, 2].mean()),
        Figure("effective components, 16 couplings", strong[:, 2].mean()),
        Figure("mean ACC, Gaussians", weak[:, 3].mean()),
        Figure("mean ACC, 16 couplings", strong[:, 3].mean()),
    ]
    header = ["units of q", "couplings", "effective K", "ACC of q", "NLL"]
    return Outcome(figures, {"max_epochs": 150, "start": "random"}, text_table(header, rows))


def _one(settings: dict[str, Any], seed: int) -> list[float]:
    X, y = Pinwheel().sample_per_component(WING, random_state=seed)
    V, _ = Pinwheel().sample(HELD_OUT, random_state=10_000 + seed)
    mixture = FlowMixture(5, random_state=seed, **settings).fit(X)
    mean_q = mixture.predict_proba(X).mean(0)
    effective = float(np.exp(-(mean_q * np.log(np.maximum(mean_q, 1e-12))).sum()))
    return [effective, clustering_accuracy(y, mixture.predict(X)), -mixture.score(V)]
