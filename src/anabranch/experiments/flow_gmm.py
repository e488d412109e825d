"""FlowGMM on toys: one flow, a latent Gaussian a class, and very few labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from anabranch.estimators import FlowGMM, FlowMixture
from anabranch.experiments.baselines import text_table
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.pinwheel import picture
from anabranch.experiments.registry import experiment
from anabranch.problems import Moons, Pinwheel, TwoCircles

PER_CLASS, HELD_OUT = 512, 10_000
CONSISTENCY: dict[str, Any] = {
    "consistency": 0.5,
    "perturbation": {"name": "noise", "scale": 0.05},
}
Labels = NDArray[np.int64]


@experiment(
    "flowgmm-toys",
    seeds=5,
    summary="FlowGMM with 4 to 16 labels on circles, moons, pinwheel and digits",
)
def flowgmm_toys(run: Run) -> Outcome:
    """Accuracy on unlabelled rows, and density beside one RealNVP."""
    problems = {
        "moons, 8 labels": (Moons(), 4),
        "circles, 16 labels": (TwoCircles(radial_std=0.05), 8),
        "pinwheel, 20 labels": (Pinwheel(), 4),
    }
    rows, pictures = [], {}
    for name, (problem, per_class) in problems.items():
        found = []
        for seed in run.seeds:
            X, y = problem.sample_per_component(PER_CLASS, random_state=seed)
            V, _ = problem.sample(HELD_OUT, random_state=10_000 + seed)
            measured, model = _on_toy(X, y, V, per_class, seed)
            found.append(measured)
            if seed == run.seeds[0]:
                pictures[f"{name.split(',')[0]}.png"] = picture(model, X)
        rows.append([name, *map(float, np.mean(found, axis=0))])
    digits, logistic = np.mean([_on_digits(seed) for seed in run.seeds], axis=0)
    figures = []
    for name, supervised, plain, consistent, nll, consistent_nll, single in rows:
        figures += [
            Figure(f"{name}: mean ACC", plain, 0.97, "higher"),
            Figure(
                f"{name}: NLL above one RealNVP, nats",
                min(nll, consistent_nll) - single,
                0.05,
                "lower",
            ),
            Figure(
                f"{name}: ACC with consistency minus without", consistent - plain, -0.005, "higher"
            ),
            Figure(f"{name}: mean ACC of the labels alone", supervised),
        ]
    gain = digits - logistic
    figures += [
        Figure("digits, 100 labels: ACC above logistic regression", gain, 0.03, "higher"),
        Figure("digits, 100 labels: ACC", digits),
    ]
    header = [
        "data",
        "labels only",
        "FlowGMM",
        "consistent",
        "NLL",
        "NLL consistent",
        "NLL RealNVP",
    ]
    return Outcome(figures, {"consistency": CONSISTENCY}, text_table(header, rows), pictures)


def few_labels(y: Labels, per_class: int, seed: int) -> Labels:
    """The labels of a few rows of each class; -1 elsewhere."""
    few = np.full(len(y), -1)
    for label in np.unique(y):
        few[np.random.RandomState(seed).permutation(np.flatnonzero(y == label))[:per_class]] = label
    return few


def _on_toy(
    X: NDArray[np.float64], y: Labels, V: NDArray[np.float64], per_class: int, seed: int
) -> tuple[list[float], FlowGMM]:
    few = few_labels(y, per_class, seed)
    known, hidden = few >= 0, few < 0

    def accuracy(model: FlowGMM) -> float:
        return float((model.predict(X[hidden]) == y[hidden]).mean())

    alone = FlowGMM(random_state=seed).fit(X[known], y[known])
    plain = FlowGMM(random_state=seed).fit(X, few)
    consistent = FlowGMM(random_state=seed, **CONSISTENCY).fit(X, few)
    single = FlowMixture(1, random_state=seed).fit(X)
    nlls = [-model.score(V) for model in (plain, consistent, single)]
    return [accuracy(alone), accuracy(plain), accuracy(consistent), *nlls], consistent


def _on_digits(seed: int) -> tuple[float, float]:
    """Accuracy on the digits without a label, and that of logistic regression."""
    X, y = load_digits(return_X_y=True)
    few = few_labels(y, 10, seed)
    hidden = few < 0
    model = FlowGMM(random_state=seed, levels=17).fit(X, few)
    logistic = LogisticRegression(max_iter=2000).fit(X[~hidden] / 16, y[~hidden])
    return (
        float((model.predict(X[hidden]) == y[hidden]).mean()),
        float((logistic.predict(X[hidden] / 16) == y[hidden]).mean()),
    )
