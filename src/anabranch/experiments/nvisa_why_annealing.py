"""What becomes of the parts of NVISA's bound while the least standard deviations are annealed."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.pictures import png
from anabranch.metrics import clustering_accuracy
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.objectives import Enumerated, LatentMixtureBound
from anabranch.objectives.bound_parts import BoundParts, bound_parts
from anabranch.problems import HiddenBlobs
from anabranch.procedures.std_annealing import std_annealing
from anabranch.training import FitOptions, Schedule, ScheduledBuffer, fit

Array = NDArray[np.float64]
# Clusters as round as they can be: from random weights long ones are found by nobody.
PROBLEM = HiddenBlobs(stds=(0.3,) * 5)
K, ROWS, HELD_OUT = PROBLEM.n_components, 2000, 1000
HIDDEN, EPOCHS, BATCH, RATE = (64,), 80, 100, 2e-3
FIRST, LAST = 1.0, 0.02


class Course(NamedTuple):
    """A run: its parts at each epoch, and where it ends.

    Attributes:
        parts: (epochs, 4), in nats, in the order of `BoundParts`.
        acc: of q(y|x) on held-out rows.
        information: mutual information of row and label at the end, a share of log K.
        early: the same where the annealed bound has fallen half of its way.
        bound: at the end, nats.
        codes: divergence of the codes at the end, nats.
    """

    parts: Array
    acc: float
    information: float
    early: float
    bound: float
    codes: float


class Watch(Schedule):
    """Takes the bound of some rows apart after each epoch.

    Args:
        model: whose bound it is.
        x: rows (N, D).
    """

    name = "parts"

    def __init__(self, model: GaussianMixtureVAE, x: Tensor) -> None:
        self.model, self.x, self.value = model, x, float("nan")
        self.parts: list[BoundParts] = []

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Take it apart, with the same draws each time."""
        self.parts.append(bound_parts(self.model, self.x, 1, torch.Generator().manual_seed(0)))
        self.value = self.parts[-1].information

    def state_dict(self) -> dict[str, Any]:
        """Its value; what was seen before is not kept."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.value = state["value"]


@experiment(
    "nvisa-why-annealing", seeds=5, summary="why annealed standard deviations separate clusters"
)
def nvisa_why_annealing(run: Run) -> Outcome:
    """The same model with standard deviations that are annealed, and with small ones throughout."""
    annealed, small = (per_seed(run.seeds, course, first) for first in (FIRST, LAST))
    acc = [rows.mean("acc") for rows in (annealed, small)]
    figures = [
        Figure("mean ACC, annealed", acc[0]),
        Figure("mean ACC, small from the start", acc[1]),
        Figure("mean ACC, annealed less small", acc[0] - acc[1], 0.03, "higher"),
    ]
    for name, rows in (("annealed", annealed), ("small", small)):
        figures += [
            Figure(f"I(x; y) half way, share of log K, {name}", rows.mean("early")),
            Figure(f"I(x; y) at the end, share of log K, {name}", rows.mean("information")),
            Figure(f"divergence of the codes at the end, nats, {name}", rows.mean("codes")),
            Figure(f"bound at the end, nats, {name}", rows.mean("bound")),
        ]
    settings = {
        "n": ROWS, "features": PROBLEM.n_features, "K": K, "hidden": HIDDEN, "epochs": EPOCHS,
        "batch_size": BATCH, "learning_rate": RATE, "first": FIRST, "last": LAST,
    }  # fmt: skip
    pictures = {"parts.png": picture(annealed[0].parts, small[0].parts)}
    return Outcome(figures, settings, annealed.table(), pictures)


def course(seed: int, first: float) -> Course:
    """Train from random weights, with standard deviations of at least ``first`` to begin with."""
    X, labels, _ = PROBLEM.sample(ROWS + HELD_OUT, random_state=seed)
    rows = torch.as_tensor((X - X.mean(0)) / X.std(0)).float()
    model = nvisa(PROBLEM.n_features, K, latent=5, hidden=HIDDEN, floor=first, seed=seed)
    watch = Watch(model, rows[ROWS:])
    annealing = std_annealing(EPOCHS * (ROWS // BATCH), first=first, last=LAST)
    fit(
        LatentMixtureBound(model, Enumerated()),
        {"x": rows[:ROWS]},
        options=FitOptions(
            max_epochs=EPOCHS,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            min_evaluation_steps=1,
            progress=False,
        ),
        schedules=[ScheduledBuffer("floor", model.floor, annealing), watch],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
    )
    parts = np.array(watch.parts)
    found = model.log_q(rows[ROWS:]).argmax(0).numpy()
    return Course(
        parts,
        acc=clustering_accuracy(labels[ROWS:], found),
        information=parts[-1, 1] / math.log(K),
        early=parts[len(parts) * 2 // 5, 1] / math.log(K),
        bound=watch.parts[-1].bound,
        codes=parts[-1, 3],
    )


def picture(*courses: Array) -> bytes:
    """Information of the label and divergence of the codes over the epochs."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    canvas = Canvas(figsize=(8, 3), layout="constrained")
    names = ("annealed", "small from the start")
    for axis, parts, name in zip(canvas.subplots(1, 2, sharey=True), courses, names, strict=True):
        epochs = np.arange(1, len(parts) + 1)
        axis.plot(epochs, parts[:, 1], label="I(x; y)")
        axis.plot(epochs, parts[:, 3], label="codes")
        axis.plot(epochs, parts[:, 2], label="imbalance")
        axis.axhline(math.log(K), color="grey", linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel="epoch", ylabel="nats", yscale="symlog")
        axis.legend()
    return png(canvas)
