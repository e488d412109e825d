"""Densities of tables, beside the best Gaussian mixture on the same split."""

import lzma
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.estimators import FlowMixture
from anabranch.estimators.column_warnings import (
    ColumnWarning,
    dependent_columns,
    spiked_columns,
)
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, table_of_means
from anabranch.experiments.baselines import best_gaussian_mixture, standardized

Array = NDArray[np.float64]

EMBEDDED = ("iris", "wine", "breast_cancer", "diabetes", "digits")
UCI = {
    "power-plant": "power-plant.txt.xz",
    "protein": "protein-tertiary-structure.txt.xz",
    "naval": "naval-propulsion-plant.txt.xz",
}
WHOLE = ("digits",)
# Share of the rows that may hold one value of a column with a density.
SPIKE = 0.2
MANY = 3000
# As those that a mixture of flows tries for its start.
REG_COVARS = (1e-6, 1e-3, 1e-2)
SMALL, LARGE = (1, 2, 3, 4, 5, 6, 8, 10), (1, 2, 5, 10, 20)


class Pair(NamedTuple):
    """Held-out nats of the best GaussianMixture and of FlowMixture with its K; seconds."""

    seed: int
    rows: int
    columns: int
    k: int
    gmm: float
    flow: float
    difference: float
    s: float


@experiment(
    "tables-vs-gmm",
    seeds=3,
    summary="eight tables: default FlowMixture beside the best GaussianMixture, held out",
    needs_data=True,
)
def tables_vs_gmm(run: Run) -> Outcome:
    """Held-out log-density with the K of the best GaussianMixture.

    Small tables give the mean over one split per seed; large ones, whose held-out rows are
    thousands, take the first split. Columns that have no density are left out for both: with the
    least variance allowed, a spike there is worth as many nats as one likes. The pixels of digits,
    which are whole numbers, get uniform noise.
    """
    found = {}
    for name in (*EMBEDDED, *UCI):
        X = load_sklearn(name).X if name in EMBEDDED else read_uci(run.path("uci", UCI[name]))
        seeds = run.seeds if len(X) < MANY else run.seeds[:1]
        found[name] = per_seed(seeds, compared, np.asarray(X, dtype=np.float64), name in WHOLE)
    gain = {name: rows.mean("difference") for name, rows in found.items()}
    figures = [
        Figure(f"{name}, nats above GaussianMixture", value, -0.05, "higher")
        for name, value in gain.items()
    ]
    above = sum(value > 0 for value in gain.values())
    figures.append(Figure("tables above GaussianMixture, of eight", above, 6, "higher"))
    settings = {
        "split": [0.6, 0.2, 0.2],
        "noise": WHOLE,
        "reg_covar of GMM": REG_COVARS,
        "K small": SMALL,
        "K": LARGE,
    }
    return Outcome(figures, settings, table_of_means("table", found))


@experiment(
    "covertype-density",
    seeds=1,
    summary="ten numeric columns of Covertype beside GaussianMixture with up to 50 components",
    needs_data=True,
)
def covertype_density(run: Run) -> Outcome:
    """100k rows to train (10k of them to choose on), 20k held out."""
    X = read_covertype(run.path("uci", "covtype.csv.xz"))
    rows = per_seed(run.seeds, covertype, X)
    figures = [
        Figure("nats above the best GaussianMixture", rows.mean("difference"), 2.0, "higher"),
        Figure("seconds to fit", rows.worst("s", better="lower"), 600.0, "lower"),
        Figure("held-out log-density, nats", rows.mean("flow")),
        Figure("GaussianMixture, nats", rows.mean("gmm")),
    ]
    return Outcome(figures, {**COVERTYPE, "rows": [90_000, 10_000, 20_000]}, rows.table())


def covertype(seed: int, X: Array) -> Pair:
    """The best mixture of many Gaussians, beside ten flows."""
    order = np.random.RandomState(seed).permutation(len(X))
    parts = (order[:90_000], order[90_000:100_000], order[100_000:120_000])
    train, validation, test = standardized(*(X[part] for part in parts))
    how: dict[str, Any] = {
        "covariance_types": ["full"],
        "reg_covars": (1e-6, 1e-3),
        "max_iter": 100,
    }
    gmm = best_gaussian_mixture(train, validation, (10, 20, 30, 40, 50), seed, **how)
    mixture = FlowMixture(random_state=seed, verbose=1, **COVERTYPE)
    return _pair(seed, X, gmm, mixture, (train, validation, test))


COVERTYPE: dict[str, Any] = {
    "n_components": 10,
    "flow": {"name": "maf", "hidden": [64, 64]},
    "max_epochs": 20,
}


def split(X: Array, seed: int) -> list[Array]:
    """Train, validation and test rows, 60, 20 and 20 per cent, standardised by the first."""
    order = np.random.RandomState(seed).permutation(len(X))
    first, second = int(0.6 * len(X)), int(0.8 * len(X))
    return standardized(X[order[:first]], X[order[first:second]], X[order[second:]])


def with_density(X: Array) -> Array:
    """The columns that have a density: that vary, are no spikes, and that no others determine."""
    commonest = np.array([np.unique(column, return_counts=True)[1].max() for column in X.T])
    spiked = spiked_columns(X) | (commonest > SPIKE * len(X))
    kept = X[:, (np.ptp(X, axis=0) > 1e-9 * np.abs(X).max(axis=0)) & ~spiked]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)
        scaled = standardized(kept)[0]
        return kept[:, ~dependent_columns(scaled, [str(j) for j in range(scaled.shape[1])])]


def compared(seed: int, X: Array, whole: bool) -> Pair:
    """The best GaussianMixture and FlowMixture with its K, on one split."""
    X = X + np.random.RandomState(seed).rand(*X.shape) if whole else with_density(X)
    parts = split(X, seed)
    components = SMALL if len(X) < MANY else LARGE
    gmm = best_gaussian_mixture(parts[0], parts[1], components, seed, reg_covars=REG_COVARS)
    return _pair(seed, X, gmm, FlowMixture(gmm.n_components, random_state=seed), parts)


def _pair(seed: int, X: Array, gmm: Any, mixture: FlowMixture, parts: Sequence[Array]) -> Pair:
    train, validation, test = parts
    started = time.perf_counter()
    mixture.fit(train, X_val=validation)
    seconds = time.perf_counter() - started
    theirs, ours = float(gmm.score(test)), mixture.score(test)
    rows, columns = X.shape
    return Pair(seed, rows, columns, gmm.n_components, theirs, ours, ours - theirs, seconds)


def read_uci(path: Path) -> Array:
    """A table of white-space separated numbers, compressed by xz."""
    with lzma.open(path, "rt") as file:
        return np.loadtxt(file, dtype=np.float64)


def read_covertype(path: Path) -> Array:
    """The ten numeric columns of Covertype."""
    with lzma.open(path, "rt") as file:
        return np.loadtxt(file, dtype=np.float64, delimiter=",", skiprows=1, usecols=range(10))
