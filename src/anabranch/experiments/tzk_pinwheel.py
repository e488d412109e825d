"""The wings of a pinwheel as types of knowledge over one flow."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.models import TzK, tzk
from anabranch.objectives import DualFactorization, Likelihood
from anabranch.problems import Pinwheel
from anabranch.training import CosineDecay, FitOptions, fit

Array = NDArray[np.float64]
PROBLEM = Pinwheel()
ROWS, VALIDATION, TESTED = 20_000, 2000, 10_000
EPOCHS = {"cpu": 30, "full": 120}
BATCH, RATE, DRAWS = 512, 3e-3, 20
WINGS = [f"wing {k}" for k in range(PROBLEM.n_components)]
MODEL: dict[str, Any] = {
    "code_features": 1,
    "flow": {"name": "nsf", "n_layers": 3, "hidden": [64, 64]},
    "decoder": {"name": "nsf", "n_layers": 2, "hidden": [32]},
    "hidden": [64, 64],
}


class Knowledge(NamedTuple):
    """What a model knows of the wings, in nats.

    Attributes:
        gain: mean log p(t | k) - log p(t) of the wing that each row is of.
        information: what it is in truth, log K - H(k | t).
        accuracy: of existence by the discriminator, over rows and wings.
        gap: mean absolute difference of existence by discriminator and by Bayes' rule.
        given: -log p(t | k), end to end.
        staged: the same, where the types were trained behind a flow that was finished.
        moved: largest change of log p(t) by a type that was added and trained later.
    """

    seed: int
    gain: float
    information: float
    accuracy: float
    gap: float
    given: float
    staged: float
    moved: float
    s: float


@experiment("tzk-pinwheel", seeds=3, summary="wings of a pinwheel as types of knowledge")
def tzk_pinwheel(run: Run) -> Outcome:
    """Gain by knowledge against its truth, existence, two stages, and a type that comes later."""
    rows = per_seed(run.seeds, known, EPOCHS[run.budget])
    off = float(np.abs(rows.gain("gain", over="information")).mean())
    later = float(np.abs(rows.gain("staged", over="given")).mean())
    figures = [
        Figure("|log p(t|k) - log p(t) - information|, nats", off, 0.05, "lower"),
        Figure("information of the wing, nats", rows.mean("information")),
        Figure("accuracy of existence", rows.mean("accuracy"), 0.98, "higher"),
        Figure("existence by discriminator less by Bayes", rows.mean("gap"), 0.03, "lower"),
        Figure("|two stages - end to end|, nats", later, 0.15, "lower"),
        Figure("change of p(t) by a later type", rows.worst("moved", "lower"), 0.0, "lower"),
        Figure("seconds per seed", rows.mean("s")),
    ]
    settings = {**MODEL, "rows": ROWS, "epochs": EPOCHS[run.budget], "rate": RATE}
    return Outcome(figures, settings, rows.table())


def known(seed: int, epochs: int) -> Knowledge:
    """Train in one stage and in two, and judge both by other rows."""
    started = time.perf_counter()
    data, held_out = _rows(ROWS, seed), _rows(VALIDATION, 20_000 + seed)
    model = tzk(2, types=WINGS, **MODEL, seed=seed)
    model.initialize(data["x"][:4096])
    _train(DualFactorization(model), data, held_out, epochs, seed)
    test = _rows(TESTED, 10_000 + seed)
    gain, given = _judged(model, test, seed)
    accuracy, gap = _existence(model, test, seed)
    staged = tzk(2, types=WINGS, **MODEL, seed=seed)
    staged.initialize(data["x"][:4096])
    _train(Likelihood(staged.common), data, held_out, epochs, seed)
    _train(DualFactorization(staged, frozen=True), data, held_out, epochs, seed)
    _, later = _judged(staged, test, seed)
    return Knowledge(
        seed,
        gain,
        information(test),
        accuracy,
        gap,
        -given,
        -later,
        _moved(model, data, seed),
        time.perf_counter() - started,
    )


def information(test: dict[str, Tensor]) -> float:
    """Nats that a point tells of its wing, by the true posterior."""
    posterior = PROBLEM.posterior(test["x"].double().numpy())
    spread = -np.sum(posterior * np.log(np.maximum(posterior, 1e-300)), axis=1)
    return float(np.log(len(WINGS)) - spread.mean())


def _rows(n: int, seed: int) -> dict[str, Tensor]:
    X, wing = PROBLEM.sample(n, random_state=seed)
    existence = np.eye(len(WINGS), dtype=np.float32)[wing]
    return {"x": torch.as_tensor(X).float(), "existence": torch.as_tensor(existence)}


def _train(
    objective: Any, data: dict[str, Tensor], held_out: dict[str, Tensor], epochs: int, seed: int
) -> None:
    options = FitOptions(
        max_epochs=epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        average=0.99,
        patience=None,
        progress=False,
    )
    steps = epochs * (len(data["x"]) // BATCH)
    fit(
        objective,
        data,
        held_out,
        options=options,
        schedules=[CosineDecay(steps)],
        generator=torch.Generator().manual_seed(seed),
    )
    objective.eval()


@torch.no_grad()
def _judged(model: TzK, test: dict[str, Tensor], seed: int) -> tuple[float, float]:
    """Mean gain by knowledge of the own wing, and mean log-density given it."""
    source = torch.Generator().manual_seed(seed)
    given = torch.zeros(len(test["x"]))
    for k, name in enumerate(WINGS):
        own = test["existence"][:, k] > 0
        found = model.log_prob_given(test["x"][own], name, n_draws=DRAWS, generator=source)
        given[own] = found
    return float((given - model.log_prob(test["x"])).mean()), float(given.mean())


@torch.no_grad()
def _existence(model: TzK, test: dict[str, Tensor], seed: int) -> tuple[float, float]:
    """Accuracy of the discriminators, and how far they are from Bayes' rule by the decoders."""
    source = torch.Generator().manual_seed(seed)
    told = torch.stack([model.existence(test["x"], name) for name in WINGS], -1)
    how = {"n_draws": DRAWS, "generator": source}
    other = [model.decoded_existence(test["x"], name, **how) for name in WINGS]
    right = (told > 0.5) == (test["existence"] > 0)
    gap = (told - torch.stack(other, -1)).abs()
    return float(right.float().mean()), float(gap.mean())


def _moved(model: TzK, data: dict[str, Tensor], seed: int) -> float:
    """Add the type of the right half of the plane, train it, and see what it changes."""
    x = data["x"][:4096]
    before = model.log_prob(x).detach()
    more = model.with_type("right", seed=seed)
    right = (x[:, :1] > 0).float()
    rows = {"x": x, "existence": torch.cat((torch.full((len(x), len(WINGS)), -1.0), right), 1)}
    _train(DualFactorization(more, types=["right"], frozen=True), rows, rows, 2, seed)
    return float((more.log_prob(x).detach() - before).abs().max())
