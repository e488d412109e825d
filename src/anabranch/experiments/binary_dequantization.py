"""Bits of 2 x 2 images given a condition: what half-infinite noise is worth, where all is known."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.models import binary_density
from anabranch.objectives import Likelihood
from anabranch.problems import ConditionalBits
from anabranch.training import CosineDecay, FitOptions, fit

Array = NDArray[np.float64]
ROWS, BATCH, RATE = 20_480, 512, 3e-3
EPOCHS = {"cpu": 40, "full": 150}
DRAWS, SAMPLES = 64, 5000
FLOW: dict[str, Any] = {"name": "nsf", "n_layers": 3, "hidden": [64, 64]}
NOISE: dict[str, Any] = {"name": "nsf", "n_layers": 2, "hidden": [64]}
# of two completions that are equally likely, all bits of one differ from those of the other
TWO = {0b0110: 0.5, 0b1001: 0.5}


class Bound(NamedTuple):
    """How far bounds are from the truth, in nats, and how often two completions are drawn.

    Attributes:
        half_infinite: H of the model less H(y | x), by half-infinite noise.
        uniform: the same by noise on the unit interval.
        share: of the first of two completions that are equally likely.
        others: of samples that are neither.
    """

    seed: int
    half_infinite: float
    uniform: float
    share: float
    others: float


@experiment("binary-dequantization", seeds=3, summary="bits given a condition, known by tables")
def binary_dequantization(run: Run) -> Outcome:
    """Gaps of the bounds on tables that are known, and the modes of an answer that is not one."""
    rows = per_seed(run.seeds, bound, EPOCHS[run.budget])
    gap, other = rows.mean("half_infinite"), rows.mean("uniform")
    uneven = float(np.abs(rows.column("share") - 0.5).max())
    figures = [
        Figure("bound above H(y|x), nats", gap, 0.03, "lower"),
        Figure("the same by uniform noise", other),
        Figure("gap less that of uniform noise", gap - other, 0.0, "lower"),
        Figure("|share of one of two completions - .5|", uneven, 0.05, "lower"),
        Figure("samples that are neither", rows.mean("others")),
    ]
    settings = {"flow": FLOW, "noise": NOISE, "epochs": EPOCHS[run.budget], "rows": ROWS}
    return Outcome(figures, settings | {"rate": RATE}, rows.table())


def bound(seed: int, epochs: int) -> Bound:
    """Fit both kinds of noise to draws of random tables, and judge them by the tables."""
    problem = with_two_completions(ConditionalBits.random(3, random_state=seed))
    kinds = ("half-infinite", "uniform")
    models = {kind: _fitted(problem, kind, seed, epochs) for kind in kinds}
    gaps = [gap(model, problem, seed) for model in models.values()]
    last = torch.eye(problem.n_conditions)[-1]
    drawn = models["half-infinite"].sample(SAMPLES, last, torch.Generator().manual_seed(seed))
    places = (drawn.long() @ (2 ** torch.arange(problem.n_features).flip(0))).numpy()
    first, second = ((places == place).mean() for place in TWO)
    return Bound(seed, gaps[0], gaps[1], float(first), float(1 - first - second))


def with_two_completions(problem: ConditionalBits) -> ConditionalBits:
    """The same with one more condition, of two equally likely completions.

    Example:
        >>> with_two_completions(ConditionalBits.random(3, random_state=0)).n_conditions
        4
    """
    row = np.zeros(problem.probabilities.shape[1])
    row[list(TWO)] = list(TWO.values())
    return ConditionalBits(np.vstack([problem.probabilities, row]))


@torch.no_grad()
def gap(model: Flow, problem: ConditionalBits, seed: int) -> float:
    """Cross-entropy of the bound over the whole table, less the entropy, in nats."""
    source = torch.Generator().manual_seed(seed)
    y = torch.as_tensor(problem.states).float()
    total = 0.0
    for s, table in enumerate(torch.as_tensor(problem.probabilities).float()):
        x = torch.eye(problem.n_conditions)[s].expand(DRAWS, len(y), -1)
        bounds = model.log_prob(y.expand(DRAWS, -1, -1), x, generator=source).mean(0)
        total -= float((table * bounds).sum()) / problem.n_conditions
    return total - problem.conditional_entropy


def _fitted(problem: ConditionalBits, kind: str, seed: int, epochs: int) -> Flow:
    model = binary_density(
        problem.n_features,
        flow=FLOW,
        noise=NOISE,
        dequantization=kind,
        context_features=problem.n_conditions,
        seed=seed,
    )
    y, x = problem.sample(ROWS, random_state=seed)
    data = {"x": torch.as_tensor(y).float(), "context": torch.as_tensor(x).float()}
    options = FitOptions(
        max_epochs=epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        average=0.99,
        patience=None,
        progress=False,
    )
    fit(
        Likelihood(model),
        data,
        data,
        options=options,
        schedules=[CosineDecay(epochs * (ROWS // BATCH))],
        generator=torch.Generator().manual_seed(seed),
    )
    return model.eval()
