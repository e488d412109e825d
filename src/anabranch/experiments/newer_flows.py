"""Continuous, residual and transformer flows on two tables, beside a spline flow."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.distributions import Flow
from anabranch.estimators import FlowDensity
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, table_of_means
from anabranch.experiments.density_tables import TABLES, parts, read
from anabranch.models import cnf
from anabranch.objectives import FlowMatching
from anabranch.training import FitOptions, fit

Array = NDArray[np.float64]

FLOWS: dict[str, dict[str, Any]] = {
    "nsf": {"name": "nsf", "n_layers": 4, "hidden": [128, 128]},
    "residual": {"name": "residual_flow", "n_layers": 8, "hidden": [128, 128]},
    "tarflow": {"name": "tarflow", "n_layers": 4, "width": 32, "heads": 4},
    "gaussianization": {"name": "gaussianization", "n_layers": 12, "components": 12},
}
MATCHING: dict[str, Any] = {"hidden": [256, 256, 256], "n_steps": 20}
NEWER = ("matching", "residual", "tarflow", "gaussianization")
SETTINGS: dict[str, Any] = {"learning_rate": 3e-3, "fit_options": {"patience": None}}
# rows to train, choose and test on, and epochs: matching is cheap by the step and needs more
ROWS = {"cpu": (12_000, 2_000, 4_000), "full": None}
EPOCHS, MATCHING_EPOCHS = {"cpu": 12, "full": 40}, {"cpu": 60, "full": 300}


class Newer(NamedTuple):
    """Held-out nats of each flow, and the seconds of its fit."""

    seed: int
    nsf: float
    matching: float
    residual: float
    tarflow: float
    gaussianization: float
    nsf_s: float
    matching_s: float
    residual_s: float
    tarflow_s: float
    gaussianization_s: float

    @property
    def above(self) -> float:
        """The best of the newer flows less the spline flow."""
        return max(getattr(self, name) for name in NEWER) - self.nsf


@experiment(
    "tabular-newer-flows",
    seeds=1,
    summary="two tables: matching, residual, transformer, Gaussianization flows, beside NSF",
    needs_data=True,
)
def tabular_newer_flows(run: Run) -> Outcome:
    """Held-out nats on the splits of ``tabular-density``, of fewer rows with the budget cpu.

    All flows but the one of matching are trained by maximum likelihood as there: the same rate,
    batches and number of epochs.
    """
    found = {name: per_seed(run.seeds, compared, name, run) for name in ("covtype", "protein")}
    figures = []
    for name, rows in found.items():
        above = float(np.mean([row.above for row in rows]))
        title = f"{name}, best of the newer flows above NSF, nats"
        figures.append(Figure(title, above, 0.1, "higher"))
    for name, rows in found.items():
        for model in ("nsf", *NEWER):
            figures.append(Figure(f"{name}, {model}, nats", rows.mean(model)))
            figures.append(Figure(f"{name}, {model}, seconds", rows.mean(f"{model}_s")))
    settings = {"flows": FLOWS, "matching": MATCHING, "rows": ROWS[run.budget], **SETTINGS}
    settings |= {"epochs": EPOCHS[run.budget], "epochs of matching": MATCHING_EPOCHS[run.budget]}
    return Outcome(figures, settings, table_of_means("table", found))


def compared(seed: int, name: str, run: Run) -> Newer:
    """All flows on one split of one table."""
    spec = TABLES[name]
    three = parts(read(name, run), spec, seed)
    sizes = ROWS[run.budget]
    train, validation, test = (
        three if sizes is None else [rows[:n] for rows, n in zip(three, sizes, strict=True)]
    )
    scores: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def judge(model: str, score: Callable[[], float]) -> None:
        started = time.perf_counter()
        scores[model] = score()
        seconds[f"{model}_s"] = time.perf_counter() - started

    how = {**SETTINGS, "max_epochs": EPOCHS[run.budget], "batch_size": spec.batch_size}
    for model, flow in FLOWS.items():
        judge(
            model,
            lambda flow=flow: (
                FlowDensity(flow, random_state=seed, **how).fit(train, X_val=validation).score(test)
            ),
        )
    judge("matching", lambda: _matched(seed, (train, validation, test), spec.batch_size, run))
    return Newer(seed, **scores, **seconds)


def _matched(seed: int, three: tuple[Array, Array, Array], batch_size: int, run: Run) -> float:
    """A continuous flow that is trained without solving anything, and scored exactly."""
    train, validation, test = (torch.as_tensor(rows, dtype=torch.float32) for rows in three)
    flow = cnf(train.shape[1], seed=seed, **MATCHING)
    options = FitOptions(
        max_epochs=MATCHING_EPOCHS[run.budget],
        batch_size=batch_size,
        learning_rate=1e-3,
        patience=None,
        progress=False,
    )
    noise = torch.Generator().manual_seed(seed)
    fit(FlowMatching(flow), {"x": train}, {"x": validation}, options=options, noise=noise)
    return _score(flow.eval(), test)


@torch.no_grad()
def _score(flow: Flow, rows: torch.Tensor) -> float:
    """The mean log-density, in nats."""
    return float(torch.cat([flow.log_prob(part) for part in rows.split(1000)]).double().mean())
