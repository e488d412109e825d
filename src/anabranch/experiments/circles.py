"""The thesis' two circles: half planes by its settings, rings by gaps in the data or few labels."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.pinwheel import picture
from anabranch.experiments.thesis_start import fit_from_equal_components
from anabranch.metrics import clustering_accuracy
from anabranch.problems import Pinwheel, TwoCircles

Array = NDArray[np.float64]
Labels = NDArray[np.int64] | None
Fit = Callable[[Array, Labels, int, int], FlowMixture]

# Rows of each component, as in the thesis.
SIZE, HELD_OUT = 512, 10_000
THICK = TwoCircles(radial_std=0.05)
THIN = TwoCircles(radial_std=0.005)  # the data of the thesis
EPOCHS, PRETRAIN = 500, 300
# The settings of the thesis take thousands of steps: they run on the first seeds only.
THESIS_SEEDS = 5
FOUND = 0.95
OURS: dict[str, Any] = {"inference": "variational"}
THESIS: dict[str, Any] = {
    "inference": "variational",
    "flow": {"name": "realnvp", "n_layers": 10, "hidden": [8]},
    "model_options": {
        "posterior": {"name": "mlp", "hidden": [16, 16]},
        "weights": "uniform",
        "hedge": False,
    },
    "temperature": {"decay": 1e-3},
    "learning_rate": 1e-3,
    "batch_size": 128,
    "fit_options": {"patience": EPOCHS + PRETRAIN},
}
ALTERNATE: dict[str, Any] = {"semi_supervised": {"order": "alternate", "pretrain_epochs": PRETRAIN}}


class Found(NamedTuple):
    """One fit, where there were labels by the names of clusters; last the fit and its rows."""

    seed: int
    kmeans_acc: float
    acc_q: float
    acc_p: float
    gap: float
    spectral: float
    s: float
    mixture: FlowMixture
    X: Array


@experiment(
    "vmonf-circles", seeds=10, summary="two circles without labels: by the thesis, and by default"
)
def circles(run: Run) -> Outcome:
    """Rings found by q, with the settings of the thesis and ours, and the pinwheel beside."""
    few = run.seeds[:THESIS_SEEDS]
    parts = {
        "noise 0.05": per_seed(run.seeds, found, THICK, our_fit),
        "noise 0.005": per_seed(run.seeds, found, THIN, our_fit),
        "thesis settings, noise 0.005": per_seed(few, found, THIN, thesis_fit),
        "pinwheel": per_seed(few, found, Pinwheel(), our_fit),
    }
    rings = (parts["noise 0.05"].column("acc_q") >= FOUND).sum()
    share = 0.8 * len(run.seeds)
    figures = [
        Figure("noise 0.05: seeds with ACC >= 0.95 of q", rings, share, "higher"),
        *(figure for name, rows in parts.items() for figure in _reported(name, rows)),
    ]
    names = dict(zip(parts, ("clusters", "thin", "thesis", "pinwheel"), strict=True))
    return _outcome(figures, parts, names, THESIS)


@experiment(
    "vmonf-circles-semi", seeds=10, summary="two circles, 1024 points and 64 or 32 with labels"
)
def circles_semi(run: Run) -> Outcome:
    """Accuracy of q and p on the points without labels, and density."""
    first = run.seeds[:THESIS_SEEDS]
    parts = {
        "64 labels": per_seed(run.seeds, found, THICK, our_fit, n_labels=64),
        "32 labels": per_seed(run.seeds, found, THICK, our_fit, n_labels=32),
        "noise 0.005, 64 labels": per_seed(first, found, THIN, our_fit, n_labels=64),
        "thesis schedule, 64 labels": per_seed(first, found, THICK, thesis_schedule, n_labels=64),
        "thesis schedule, noise 0.005, 64 labels": per_seed(
            first, found, THIN, thesis_schedule, n_labels=64
        ),
    }
    many, few, thin = (parts[name] for name in ("64 labels", "32 labels", "noise 0.005, 64 labels"))
    gap = "mean held-out NLL above the entropy, nats"
    figures = [
        Figure("64 labels: mean ACC of q", many.mean("acc_q"), 0.990, "higher"),
        Figure("64 labels: min ACC of q", many.worst("acc_q"), 0.970, "higher"),
        Figure(f"64 labels: {gap}", many.mean("gap"), 0.3, "lower"),
        Figure("32 labels: mean ACC of q", few.mean("acc_q"), 0.985, "higher"),
        Figure("noise 0.005, 64 labels: mean ACC of q", thin.mean("acc_q"), 0.990, "higher"),
        Figure(f"noise 0.005, 64 labels: {gap}", thin.mean("gap"), 0.3, "lower"),
    ]
    named = {figure.name for figure in figures}
    reported = (figure for name, rows in parts.items() for figure in _reported(name, rows))
    figures += [figure for figure in reported if figure.name not in named]
    names = {"64 labels": "clusters", "thesis schedule, 64 labels": "thesis"}
    return _outcome(figures, parts, names, THESIS | ALTERNATE)


def our_fit(X: Array, y: Labels, n_components: int, seed: int) -> FlowMixture:
    """The defaults of variational inference."""
    return FlowMixture(n_components, random_state=seed, **OURS).fit(X, y)


def thesis_fit(X: Array, y: Labels, n_components: int, seed: int, **schedule: Any) -> FlowMixture:
    """The settings of the thesis, from components that are one and the same and a random q."""
    how = {"init_params": "random", "random_state": seed, **THESIS, **schedule}
    pretrain = schedule.get("semi_supervised", {}).get("pretrain_epochs", 0)
    mixture = FlowMixture(n_components, **how)
    return fit_from_equal_components(mixture, X, y, epochs=EPOCHS + pretrain)


def thesis_schedule(X: Array, y: Labels, n_components: int, seed: int) -> FlowMixture:
    """Epochs on the labels alone, then unlabelled and labelled ones in turn."""
    return thesis_fit(X, y, n_components, seed, **ALTERNATE)


def found(seed: int, problem: TwoCircles | Pinwheel, fit: Fit, n_labels: int = 0) -> Found:
    """Fit to one draw, of which a few rows behind the others have labels."""
    X, y = problem.sample_per_component(SIZE, random_state=seed)
    held_out, _ = problem.sample(HELD_OUT, random_state=10_000 + seed)
    A, targets = _with_labelled(problem, X, n_labels, seed)
    started = time.perf_counter()
    mixture = fit(A, targets, problem.n_components, seed)
    seconds = time.perf_counter() - started
    q, p = (mixture.predict(X, method=method) for method in ("network", "exact"))
    named = n_labels > 0  # where there were labels, names count
    return Found(
        seed,
        kmeans_acc=clustering_accuracy(y, kmeans(X, problem.n_components, seed).predict(X)),
        acc_q=float((q == y).mean()) if named else clustering_accuracy(y, q),
        acc_p=float((p == y).mean()) if named else clustering_accuracy(y, p),
        gap=-mixture.score(held_out) - problem.entropy(n=100_000).value,
        spectral=float(mixture.start_ == "spectral"),
        s=seconds,
        mixture=mixture,
        X=A,
    )


def _with_labelled(
    problem: TwoCircles | Pinwheel, X: Array, n_labels: int, seed: int
) -> tuple[Array, Labels]:
    """The points, and behind them a separate draw of labelled ones."""
    if not n_labels:
        return X, None
    each = n_labels // problem.n_components
    labelled, names = problem.sample_per_component(each, random_state=20_000 + seed)
    return np.concatenate([X, labelled]), np.concatenate([np.full(len(X), -1), names])


def _reported(name: str, rows: Rows[Found]) -> list[Figure]:
    return [
        Figure(f"{name}: mean ACC of q", rows.mean("acc_q")),
        Figure(f"{name}: min ACC of q", rows.worst("acc_q")),
        Figure(f"{name}: mean ACC of p(c|x)", rows.mean("acc_p")),
        Figure(f"{name}: min ACC of p(c|x)", rows.worst("acc_p")),
        Figure(f"{name}: mean held-out NLL above the entropy, nats", rows.mean("gap")),
        Figure(f"{name}: k-means mean ACC", rows.mean("kmeans_acc")),
        Figure(f"{name}: share of spectral starts", rows.mean("spectral")),
        Figure(f"{name}: longest fit, seconds", rows.worst("s", better="lower")),
    ]


def _outcome(
    figures: list[Figure],
    parts: dict[str, Rows[Found]],
    names: Mapping[str, str],
    thesis: dict[str, Any],
) -> Outcome:
    """The settings, a table per part, and the first fits of those that have a name."""
    settings = {
        "ours": OURS,
        "thesis": {**thesis, "epochs": EPOCHS, "start": "random q, equal components"},
        "thesis_seeds": THESIS_SEEDS,
        "per_component": SIZE,
        "held_out": HELD_OUT,
    }
    table = "\n\n".join(f"{name}\n{rows.table()}" for name, rows in parts.items())
    pictures = {
        f"{file}.png": picture(parts[name][0].mixture, parts[name][0].X)
        for name, file in names.items()
    }
    return Outcome(figures, settings, table, pictures)
