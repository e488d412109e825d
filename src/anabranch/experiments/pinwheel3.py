"""The training animation of the slides on VMoNF: a pinwheel of three wings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.metrics import clustering_accuracy
from anabranch.models import flow_mixture
from anabranch.problems import Pinwheel

WING, HELD_OUT = 512, 5_000
SNAPSHOTS = 60
EPOCHS = 400
HEADER = ["seed", "thesis ACC q", "thesis gap", "ours ACC q", "ours gap"]
PROBLEM = Pinwheel(n_components=3, rate=0.25)
# what the thesis gives for its pinwheel of five wings; the slides name no settings for three
THESIS: dict[str, Any] = {
    "flow": {"name": "realnvp", "n_layers": 8, "hidden": [8]},
    "model_options": {"posterior": {"name": "mlp", "hidden": [3]}, "weights": "uniform"},
    "temperature": {"decay": 1e-3},
    "learning_rate": 1e-3,
    "batch_size": 512,
    "fit_options": {"patience": EPOCHS, "snapshots": SNAPSHOTS},
}


@experiment(
    "vmonf-pinwheel3-animation",
    seeds=10,
    summary="the slides' training animation, three wings: from a random start, and by default",
)
def pinwheel3(run: Run) -> Outcome:
    """Animated files of both trainings of the first seed, accuracy and density of all."""
    rows, pictures, frames = [], {}, 0
    entropy = PROBLEM.entropy(n=50_000).value
    for seed in run.seeds:
        X, y = PROBLEM.sample_per_component(WING, random_state=seed)
        held_out, _ = PROBLEM.sample(HELD_OUT, random_state=10_000 + seed)
        row: list[Any] = [seed]
        for name, mixture in (("thesis", thesis_fit(X, seed)), ("ours", our_fit(X, seed))):
            row += [clustering_accuracy(y, mixture.predict(X)), -mixture.score(held_out) - entropy]
            if seed == run.seeds[0]:
                pictures[f"{name}.gif"] = animation(mixture, X)
                frames = max(frames, len(mixture.snapshots_))
        rows.append(row)
    found = np.array(rows, dtype=float)
    settings = {
        **THESIS,
        "epochs": EPOCHS,
        "per_wing": WING,
        "rate": PROBLEM.rate,
    }
    return Outcome(_figures(found, frames), settings, text_table(HEADER, rows), pictures)


def _figures(rows: NDArray[np.float64], frames: int) -> list[Figure]:
    return [
        Figure("thesis settings, random start: mean ACC of q", rows[:, 1].mean()),
        Figure("thesis settings: mean held-out NLL above the entropy, nats", rows[:, 2].mean()),
        Figure("ours: mean ACC of q", rows[:, 3].mean(), 0.99, "higher"),
        Figure("ours: mean held-out NLL above the entropy, nats", rows[:, 4].mean()),
        Figure("states in the longer animation", frames, 20, "higher"),
    ]


def thesis_fit(X: NDArray[np.float64], seed: int, **settings: Any) -> FlowMixture:
    """Train as in the thesis, from components that are one and the same and a random q."""
    given = {**THESIS, **settings}
    mixture = FlowMixture(
        3, inference="variational", start="last", max_epochs=0, random_state=seed, **given
    ).fit(X)
    # the estimator starts at a Gaussian mixture; the recipe alone starts at one Gaussian
    recipe: Any = mixture.model_.recipe
    fresh = flow_mixture(**recipe["arguments"])
    fresh.mixture.set_weights(mixture.model_.mixture.log_weights.exp())
    mixture.model_ = fresh
    return mixture.set_params(max_epochs=EPOCHS).fit(X)


def our_fit(X: NDArray[np.float64], seed: int, **settings: Any) -> FlowMixture:
    """The defaults of variational inference."""
    given = {"fit_options": {"snapshots": SNAPSHOTS}, **settings}
    return FlowMixture(3, inference="variational", random_state=seed, **given).fit(X)


def animation(mixture: FlowMixture, X: NDArray[np.float64]) -> bytes:
    """The animated file of a training."""
    from anabranch.reports import render_animation  # matplotlib is heavy, and an extra

    return render_animation(mixture, X)
