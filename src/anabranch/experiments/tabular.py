"""Densities of tables, beside the best Gaussian mixture on the same split."""

import lzma
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.estimators import FlowMixture
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table

Array = NDArray[np.float64]

EMBEDDED = ("iris", "wine", "breast_cancer", "diabetes", "digits")
UCI = {
    "power-plant": "power-plant.txt.xz",
    "protein": "protein-tertiary-structure.txt.xz",
    "naval": "naval-propulsion-plant.txt.xz",
}
MANY = 3000
SMALL, LARGE = (1, 2, 3, 4, 5, 6, 8, 10), (1, 2, 5, 10, 20)


@experiment(
    "tables-vs-gmm",
    seeds=3,
    summary="eight tables: default FlowMixture beside the best GaussianMixture, held out",
    needs_data=True,
)
def tables_vs_gmm(run: Run) -> Outcome:
    """Held-out log-density with the K of the best GaussianMixture.

    Small tables give the mean over one split per seed; large ones, whose held-out rows are
    thousands, take the first split.
    """
    rows, figures = [], []
    for name in (*EMBEDDED, *UCI):
        X = load_sklearn(name).X if name in EMBEDDED else read_uci(run.path("uci", UCI[name]))
        seeds = run.seeds if len(X) < MANY else run.seeds[:1]
        results = [_compare(np.asarray(X, dtype=np.float64), seed) for seed in seeds]
        gmm, flow, seconds, components = np.mean(results, axis=0)
        rows.append([name, *X.shape, f"{components:.1f}", gmm, flow, flow - gmm, seconds])
        figures.append(Figure(f"{name}, nats above GaussianMixture", flow - gmm, -0.05, "higher"))
    above = sum(row[6] > 0 for row in rows)
    figures.append(Figure("tables above GaussianMixture, of eight", above, 6, "higher"))
    table = text_table(["table", "rows", "columns", "K", "GMM", "flow", "difference", "s"], rows)
    settings = {"split": [0.6, 0.2, 0.2], "reg_covar of GMM": 1e-3, "K small": SMALL, "K": LARGE}
    return Outcome(figures, settings, table)


@experiment(
    "covertype-density",
    seeds=1,
    summary="ten numeric columns of Covertype beside GaussianMixture with up to 50 components",
    needs_data=True,
)
def covertype_density(run: Run) -> Outcome:
    """100k rows to train (10k of them to choose on), 20k held out."""
    X = read_covertype(run.path("uci", "covtype.csv.xz"))
    rows, settings = [], COVERTYPE
    for seed in run.seeds:
        order = np.random.RandomState(seed).permutation(len(X))
        train, validation, test = standardized(
            X[order[:90_000]], X[order[90_000:100_000]], X[order[100_000:120_000]]
        )
        gmm = best_gaussian_mixture(
            train,
            validation,
            (10, 20, 30, 40, 50),
            seed,
            covariance_types=["full"],
            reg_covars=(1e-6, 1e-3),
            max_iter=100,
        )
        started = time.perf_counter()
        mixture = FlowMixture(random_state=seed, verbose=1, **settings)
        mixture.fit(train, X_val=validation)
        seconds = time.perf_counter() - started
        scores = gmm.score(test), mixture.score(test)
        rows.append([str(seed), gmm.n_components, *scores, scores[1] - scores[0], seconds])
    difference, seconds = np.mean([row[4] for row in rows]), max(row[5] for row in rows)
    figures = [
        Figure("nats above the best GaussianMixture", float(difference), 2.0, "higher"),
        Figure("seconds to fit", seconds, 600.0, "lower"),
        Figure("held-out log-density, nats", float(np.mean([row[3] for row in rows]))),
        Figure("GaussianMixture, nats", float(np.mean([row[2] for row in rows]))),
    ]
    table = text_table(["seed", "K of GMM", "GMM", "flow", "difference", "s"], rows)
    return Outcome(figures, {**settings, "rows": [90_000, 10_000, 20_000]}, table)


COVERTYPE = {
    "n_components": 10,
    "flow": {"name": "maf", "hidden": [64, 64]},
    "max_epochs": 20,
}


def split(X: Array, seed: int) -> list[Array]:
    """Train, validation and test rows, 60, 20 and 20 per cent, standardised by the first."""
    order = np.random.RandomState(seed).permutation(len(X))
    first, second = int(0.6 * len(X)), int(0.8 * len(X))
    return standardized(X[order[:first]], X[order[first:second]], X[order[second:]])


def _compare(X: Array, seed: int) -> tuple[float, float, float, float]:
    """Held-out nats of the best GaussianMixture and of FlowMixture with its K; seconds; K."""
    train, validation, test = split(X, seed)
    gmm = best_gaussian_mixture(train, validation, SMALL if len(X) < MANY else LARGE, seed)
    started = time.perf_counter()
    mixture = FlowMixture(gmm.n_components, random_state=seed).fit(train, X_val=validation)
    seconds = time.perf_counter() - started
    return gmm.score(test), mixture.score(test), seconds, gmm.n_components


def read_uci(path: Path) -> Array:
    """A table of white-space separated numbers, compressed by xz."""
    with lzma.open(path, "rt") as file:
        return np.loadtxt(file, dtype=np.float64)


def read_covertype(path: Path) -> Array:
    """The ten numeric columns of Covertype."""
    with lzma.open(path, "rt") as file:
        return np.loadtxt(file, dtype=np.float64, delimiter=",", skiprows=1, usecols=range(10))
