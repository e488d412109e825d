"""Mixtures of five Glows on digits, whole and over a trunk, beside one Glow of equal size."""

import time
from typing import Any, NamedTuple

import numpy as np

from anabranch.estimators import FlowDensity, FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import Array, Labels, images
from anabranch.metrics import bits_per_dim, clustering_accuracy
from anabranch.models import glow

SHAPE, CLASSES, ALPHA = [28, 28], 5, 0.002
GLOW: dict[str, Any] = {
    "name": "glow",
    "image_shape": SHAPE,
    "n_steps": 4,
    "channels": 24,
    "half_precision": True,
}
# one whose networks are so wide that it has no fewer parameters than five of the others
WIDE: dict[str, Any] = {**GLOW, "channels": 72}
FIT: dict[str, Any] = {"batch_size": 64, "learning_rate": 5e-3}
# what finds the clusters before the components are trained: q, invariant to affine maps
CLUSTERS: dict[str, Any] = {
    "inference": "invariant",
    "consistency": {"perturbation": {"name": "affine", "image_shape": SHAPE, "noise": 0.3}},
}
OPTIONS: dict[str, Any] = {
    "levels": 256,
    "posterior": {"name": "mlp", "hidden": [512, 512]},
    "logit_alpha": ALPHA,
    "hedge": False,
}
FITS = ("mixture", "trunk", "one")
BUDGETS = {"cpu": {"rows": 20_000, "epochs": 4}, "full": {"rows": 30_000, "epochs": 40}}


class Found(NamedTuple):
    """Bits per dimension of test digits, accuracies of q, and processor seconds of the fits."""

    seed: int
    mixture: float
    trunk: float
    one: float
    accuracy: float
    accuracy_trunk: float
    mixture_s: float
    trunk_s: float
    one_s: float


@experiment(
    "image-mixture", seeds=1, summary="five Glows, whole or over a trunk, or one", needs_data=True
)
def image_mixture(run: Run) -> Outcome:
    """Bits per dimension of MNIST's digits 0 to 4 after the same epochs, and clusters by q."""
    X, _ = images(run, "mnist", "train", CLASSES)
    test = images(run, "mnist", "t10k", CLASSES)
    budget = BUDGETS[run.budget]
    rows = per_seed(run.seeds, found, X, test, budget)
    gain = rows.gain("one", over="mixture").mean()
    sizes = {"five": CLASSES * size(GLOW), "one": size(WIDE)}
    figures = [
        Figure("gain of five Glows over one of equal size, bits/dim", gain, 0.0, "higher"),
        Figure("ACC q(c|x), five Glows", rows.mean("accuracy"), 0.99, "higher"),
        Figure("ACC q(c|x), over a trunk", rows.mean("accuracy_trunk"), 0.99, "higher"),
        Figure("five Glows, bits/dim", rows.mean("mixture")),
        Figure("five Gaussians over a Glow, bits/dim", rows.mean("trunk")),
        Figure("one wide Glow, bits/dim", rows.mean("one")),
        *(Figure(f"{name}: processor seconds", rows.mean(f"{name}_s")) for name in FITS),
    ]
    settings = {"glow": GLOW, "wide": WIDE, "sizes": sizes, **FIT, **CLUSTERS, **OPTIONS, **budget}
    return Outcome(figures, settings, rows.table())


def found(seed: int, X: Array, test: tuple[Array, Labels], budget: dict[str, int]) -> Found:
    """Fit all three to the same rows."""
    V, y = test
    X = X[np.random.RandomState(seed).permutation(len(X))[: budget["rows"]]]
    fit = {**FIT, "max_epochs": budget["epochs"], "random_state": seed}
    over = {**OPTIONS, "trunk": GLOW}
    mixtures = (
        FlowMixture(CLASSES, flow=GLOW, model_options=OPTIONS, **CLUSTERS, **fit),
        FlowMixture(CLASSES, flow=None, model_options=over, **CLUSTERS, **fit),
    )
    one = FlowDensity(WIDE, levels=256, logit_alpha=ALPHA, hedge=False, **fit)
    seconds, scores = [], []
    for model in (*mixtures, one):
        started = time.process_time()
        model.fit(X)
        seconds.append(time.process_time() - started)
        scores.append(bits_per_dim(model.score(V), V.shape[1]))
    accuracies = [clustering_accuracy(y, m.predict(V, method="network")) for m in mixtures]
    return Found(seed, *scores, *accuracies, *seconds)


def size(spec: dict[str, Any]) -> int:
    """Parameters of a flow."""
    flow = glow(784, **{key: value for key, value in spec.items() if key != "name"})
    return sum(p.numel() for p in flow.parameters())
