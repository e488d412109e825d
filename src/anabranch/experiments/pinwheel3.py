"""The training animation of the slides on VMoNF: a pinwheel of three wings."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed
from anabranch.experiments.thesis_start import fit_from_equal_components
from anabranch.metrics import clustering_accuracy
from anabranch.problems import Pinwheel

Array = NDArray[np.float64]
WING, HELD_OUT = 512, 5_000
SNAPSHOTS = 60
EPOCHS = 400
PROBLEM = Pinwheel(n_components=3, rate=0.25)
# what the thesis gives for its pinwheel of five wings; the slides name no settings for three
THESIS: dict[str, Any] = {
    "flow": {"name": "realnvp", "n_layers": 8, "hidden": [8]},
    "model_options": {
        "posterior": {"name": "mlp", "hidden": [3]},
        "weights": "uniform",
        "hedge": False,
    },
    "temperature": {"decay": 1e-3},
    "learning_rate": 1e-3,
    "batch_size": 512,
    "fit_options": {"patience": EPOCHS},
}


class Trained(NamedTuple):
    """Accuracy of q and held-out NLL above the entropy of both trainings; last the trainings."""

    seed: int
    thesis_acc_q: float
    thesis_gap: float
    ours_acc_q: float
    ours_gap: float
    mixtures: list[FlowMixture]
    X: Array


@experiment(
    "vmonf-pinwheel3-animation",
    seeds=10,
    summary="the slides' training animation, three wings: from a random start, and by default",
)
def pinwheel3(run: Run) -> Outcome:
    """Animated files of both trainings of the first seed, accuracy and density of all."""
    rows = per_seed(run.seeds, trained, PROBLEM.entropy(n=50_000).value)
    first = rows[0]
    pairs = zip(("thesis", "ours"), first.mixtures, strict=True)
    pictures = {f"{name}.gif": animation(mixture, first.X) for name, mixture in pairs}
    frames = max(len(mixture.snapshots_) for mixture in first.mixtures)
    settings = {
        **THESIS,
        "epochs": EPOCHS,
        "per_wing": WING,
        "rate": PROBLEM.rate,
        "snapshots": SNAPSHOTS,
    }
    return Outcome(_figures(rows, frames), settings, rows.table(), pictures)


def _figures(rows: Rows[Trained], frames: int) -> list[Figure]:
    gap = "mean held-out NLL above the entropy, nats"
    return [
        Figure("thesis settings, random start: mean ACC of q", rows.mean("thesis_acc_q")),
        Figure(f"thesis settings: {gap}", rows.mean("thesis_gap")),
        Figure("ours: mean ACC of q", rows.mean("ours_acc_q"), 0.99, "higher"),
        Figure(f"ours: {gap}", rows.mean("ours_gap")),
        Figure("states in the longer animation", frames, 20, "higher"),
    ]


def trained(seed: int, entropy: float) -> Trained:
    """Train on one draw in both ways."""
    X, y = PROBLEM.sample_per_component(WING, random_state=seed)
    held_out, _ = PROBLEM.sample(HELD_OUT, random_state=10_000 + seed)
    mixtures = [thesis_fit(X, seed), our_fit(X, seed)]
    accuracy = [clustering_accuracy(y, mixture.predict(X)) for mixture in mixtures]
    gap = [-mixture.score(held_out) - entropy for mixture in mixtures]
    return Trained(seed, accuracy[0], gap[0], accuracy[1], gap[1], mixtures, X)


def thesis_fit(X: Array, seed: int, **settings: Any) -> FlowMixture:
    """Train as in the thesis, from components that are one and the same and a random q."""
    mixture = FlowMixture(3, inference="variational", random_state=seed, **THESIS | settings)
    mixture.set_params(fit_options__snapshots=SNAPSHOTS)
    return fit_from_equal_components(mixture, X, epochs=EPOCHS)


def our_fit(X: Array, seed: int, **settings: Any) -> FlowMixture:
    """The defaults of variational inference."""
    given = {"fit_options": {"snapshots": SNAPSHOTS}, **settings}
    return FlowMixture(3, inference="variational", random_state=seed, **given).fit(X)


def animation(mixture: FlowMixture, X: Array) -> bytes:
    """The animated file of a training."""
    from anabranch.reports import render_animation  # matplotlib is heavy, and an extra

    return render_animation(mixture, X)
