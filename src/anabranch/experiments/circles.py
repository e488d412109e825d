"""The thesis' two circles: half planes by its settings, rings by gaps in the data or few labels."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.pinwheel import picture
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy
from anabranch.models import flow_mixture
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
    "model_options": {"posterior": {"name": "mlp", "hidden": [16, 16]}, "weights": "uniform"},
    "temperature": {"decay": 1e-3},
    "learning_rate": 1e-3,
    "batch_size": 128,
    "fit_options": {"patience": EPOCHS + PRETRAIN},
}
ALTERNATE: dict[str, Any] = {"order": "alternate", "pretrain_epochs": PRETRAIN}
HEADER = ["seed", "k-means ACC", "ACC q(c|x)", "ACC p(c|x)", "NLL - entropy", "spectral", "s"]


@experiment(
    "vmonf-circles", seeds=10, summary="two circles without labels: by the thesis, and by default"
)
def circles(run: Run) -> Outcome:
    """Rings found by q, with the settings of the thesis and ours, and the pinwheel beside."""
    few = run.seeds[:THESIS_SEEDS]
    parts = {
        "noise 0.05": _fits(THICK, run.seeds, our_fit),
        "noise 0.005": _fits(THIN, run.seeds, our_fit),
        "thesis settings, noise 0.005": _fits(THIN, few, thesis_fit),
        "pinwheel": _fits(Pinwheel(), few, our_fit),
    }
    rings = parts["noise 0.05"][0][:, 2]
    share = 0.8 * len(run.seeds)
    figures = [
        Figure("noise 0.05: seeds with ACC >= 0.95 of q", (rings >= FOUND).sum(), share, "higher"),
        *(figure for name, (rows, _) in parts.items() for figure in _reported(name, rows)),
    ]
    names = dict(zip(parts, ("clusters", "thin", "thesis", "pinwheel"), strict=True))
    return _outcome(figures, parts, names, THESIS)


@experiment(
    "vmonf-circles-semi", seeds=10, summary="two circles, 1024 points and 64 or 32 with labels"
)
def circles_semi(run: Run) -> Outcome:
    """Accuracy of q and p on the points without labels, and density."""
    parts = {
        "64 labels": _fits(THICK, run.seeds, our_fit, n_labels=64),
        "32 labels": _fits(THICK, run.seeds, our_fit, n_labels=32),
        "thesis schedule, 64 labels": _fits(
            THICK, run.seeds[:THESIS_SEEDS], thesis_schedule, n_labels=64
        ),
    }
    (many, _), (few, _) = parts["64 labels"], parts["32 labels"]
    gap = "mean held-out NLL above the entropy, nats"
    figures = [
        Figure("64 labels: mean ACC of q", many[:, 2].mean(), 0.990, "higher"),
        Figure("64 labels: min ACC of q", many[:, 2].min(), 0.970, "higher"),
        Figure(f"64 labels: {gap}", many[:, 4].mean(), 0.3, "lower"),
        Figure("32 labels: mean ACC of q", few[:, 2].mean(), 0.985, "higher"),
    ]
    named = {figure.name for figure in figures}
    reported = (figure for name, (rows, _) in parts.items() for figure in _reported(name, rows))
    figures += [figure for figure in reported if figure.name not in named]
    names = {"64 labels": "clusters", "thesis schedule, 64 labels": "thesis"}
    return _outcome(figures, parts, names, THESIS | ALTERNATE)


def our_fit(X: Array, y: Labels, n_components: int, seed: int) -> FlowMixture:
    """The defaults of variational inference."""
    return FlowMixture(n_components, random_state=seed, **OURS).fit(X, y)


def thesis_fit(X: Array, y: Labels, n_components: int, seed: int, **schedule: Any) -> FlowMixture:
    """The settings of the thesis, from components that are one and the same and a random q."""
    mixture = FlowMixture(
        n_components, start="last", max_epochs=0, init_params="random", random_state=seed
    )
    semi_supervised = schedule or None
    mixture.set_params(**THESIS, semi_supervised=semi_supervised).fit(X, y)
    # the estimator starts at a Gaussian mixture; the recipe alone starts at one Gaussian
    recipe: Any = mixture.model_.recipe
    fresh = flow_mixture(**recipe["arguments"])
    fresh.mixture.set_weights(mixture.model_.mixture.log_weights.exp())
    mixture.model_ = fresh
    epochs = EPOCHS + schedule.get("pretrain_epochs", 0)
    return mixture.set_params(max_epochs=epochs).fit(X, y)


def thesis_schedule(X: Array, y: Labels, n_components: int, seed: int) -> FlowMixture:
    """Epochs on the labels alone, then unlabelled and labelled ones in turn."""
    return thesis_fit(X, y, n_components, seed, **ALTERNATE)


def _fits(
    problem: TwoCircles | Pinwheel, seeds: Sequence[int], fit: Fit, *, n_labels: int = 0
) -> tuple[Array, bytes]:
    """One row of HEADER per seed, and the picture of the first."""
    rows, image = [], b""
    for seed in seeds:
        X, y = problem.sample_per_component(SIZE, random_state=seed)
        A, targets = _with_labelled(problem, X, n_labels, seed)
        started = time.perf_counter()
        mixture = fit(A, targets, problem.n_components, seed)
        seconds = time.perf_counter() - started
        rows.append([seed, *_scores(problem, mixture, X, y, seed, named=n_labels > 0), seconds])
        image = image or picture(mixture, A)
    return np.array(rows), image


def _with_labelled(
    problem: TwoCircles | Pinwheel, X: Array, n_labels: int, seed: int
) -> tuple[Array, Labels]:
    """The points, and behind them a separate draw of labelled ones."""
    if not n_labels:
        return X, None
    each = n_labels // problem.n_components
    labelled, names = problem.sample_per_component(each, random_state=20_000 + seed)
    return np.concatenate([X, labelled]), np.concatenate([np.full(len(X), -1), names])


def _scores(
    problem: TwoCircles | Pinwheel,
    mixture: FlowMixture,
    X: Array,
    y: NDArray[np.int64],
    seed: int,
    *,
    named: bool,
) -> list[float]:
    """The columns of HEADER between seed and seconds; where there were labels, names count."""
    found = [mixture.predict(X, method=method) for method in ("network", "exact")]
    held_out, _ = problem.sample(HELD_OUT, random_state=10_000 + seed)
    return [
        clustering_accuracy(y, kmeans(X, problem.n_components, seed).predict(X)),
        *(float((c == y).mean()) if named else clustering_accuracy(y, c) for c in found),
        -mixture.score(held_out) - problem.entropy(n=100_000).value,
        float(mixture.start_ == "spectral"),
    ]


def _reported(name: str, rows: Array) -> list[Figure]:
    return [
        Figure(f"{name}: mean ACC of q", rows[:, 2].mean()),
        Figure(f"{name}: min ACC of q", rows[:, 2].min()),
        Figure(f"{name}: mean ACC of p(c|x)", rows[:, 3].mean()),
        Figure(f"{name}: min ACC of p(c|x)", rows[:, 3].min()),
        Figure(f"{name}: mean held-out NLL above the entropy, nats", rows[:, 4].mean()),
        Figure(f"{name}: k-means mean ACC", rows[:, 1].mean()),
        Figure(f"{name}: share of spectral starts", rows[:, 5].mean()),
        Figure(f"{name}: longest fit, seconds", rows[:, 6].max()),
    ]


def _outcome(
    figures: list[Figure],
    parts: dict[str, tuple[Array, bytes]],
    names: Mapping[str, str],
    thesis: dict[str, Any],
) -> Outcome:
    """The settings, a table per part, and the pictures of those that have a name."""
    settings = {
        "ours": OURS,
        "thesis": {**thesis, "epochs": EPOCHS, "start": "random q, equal components"},
        "thesis_seeds": THESIS_SEEDS,
        "per_component": SIZE,
        "held_out": HELD_OUT,
    }
    table = "\n\n".join(f"{name}\n{_table(rows)}" for name, (rows, _) in parts.items())
    pictures = {f"{file}.png": parts[name][1] for name, file in names.items()}
    return Outcome(figures, settings, table, pictures)


def _table(rows: Array) -> str:
    return text_table(HEADER, [[int(row[0]), *map(float, row[1:])] for row in rows])
