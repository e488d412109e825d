"""Anomalies: the outlier score of a mixture of flows beside the usual detectors."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, joined, per_seed
from anabranch.experiments.odd_rows import TABLES, rare_tables, rival_numbers

Array = NDArray[np.float64]
COMPONENTS, MOST_ROWS, NEIGHBOURS, SMALLEST = (1, 2, 3, 5), 2500, 20, 10
REG_COVAR = 1e-3
PEERS = ("forest", "neighbours", "hdbscan", "mixture")


class Judged(NamedTuple):
    """Areas under the curve of one table: a mixture of flows, and its peers."""

    seed: int
    table: str
    rows: int
    rare: int
    flows: float
    forest: float
    neighbours: float
    hdbscan: float
    mixture: float


@experiment(
    "anomalies",
    seeds=1,
    summary="outlier scores of twelve tables, beside IsolationForest, LOF, HDBSCAN and Gaussians",
    needs_data=True,
)
def anomalies(run: Run) -> Outcome:
    """No method sees which rows are odd, and all are fitted to the rows that they judge.

    Both mixtures choose their number of components from the same list, by the log-density of rows
    held out, and all rivals see the same numbers.
    """
    found = joined(per_seed(run.seeds, judged, name, table) for name, table in rare_tables())
    means = {name: found.mean(name) for name in ("flows", *PEERS)}
    best = max(means[name] for name in PEERS)
    figures = [
        Figure("mean AUROC above the best peer's mean", means["flows"] - best, 0.0, "higher"),
        *(Figure(f"mean AUROC, {name}", mean) for name, mean in means.items()),
        Figure("seconds per table", found.seconds),
    ]
    settings = {
        "tables": list(TABLES), "K": COMPONENTS, "most rows": MOST_ROWS, "neighbours": NEIGHBOURS,
        "min_cluster_size": SMALLEST, "reg_covar": REG_COVAR,
    }  # fmt: skip
    return Outcome(figures, settings, found.table())


def judged(seed: int, name: str, table: tuple[Any, NDArray[np.bool_]]) -> Judged:
    """One table by all methods."""
    frame, rare = table
    if len(frame) > MOST_ROWS:
        chosen = np.random.RandomState(seed).permutation(len(frame))[:MOST_ROWS]
        frame, rare = frame.iloc[chosen].reset_index(drop=True), rare[chosen]
    numbers = rival_numbers(frame)
    near = min(NEIGHBOURS, len(numbers) - 1)
    odd = {
        "flows": flow_scores(frame, seed),
        "forest": -IsolationForest(random_state=seed).fit(numbers).score_samples(numbers),
        "neighbours": -LocalOutlierFactor(near).fit(numbers).negative_outlier_factor_,
        "hdbscan": hdbscan_scores(numbers),
        "mixture": gaussian_scores(numbers, seed),
    }
    areas = {by: float(roc_auc_score(rare, scores)) for by, scores in odd.items()}
    return Judged(seed, name, len(frame), int(rare.sum()), **areas)


def flow_scores(frame: Any, seed: int) -> Array:
    """Surprise in nats, with the number of components that rows held out like best."""
    options = {"contamination": "learned"}
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant, few and dependent values
        for k in COMPONENTS:
            mixture = FlowMixture(k, columns="auto", model_options=options, random_state=seed)
            fits.append(mixture.fit(frame))
        best = max(fits, key=lambda fit: fit.lower_bound_)
        return -best.score_samples(frame)


def gaussian_scores(numbers: Array, seed: int) -> Array:
    """The same of `GaussianMixture`."""
    order = np.random.RandomState(seed).permutation(len(numbers))
    train, held_out = np.split(order, [int(0.85 * len(order))])
    how: dict[str, Any] = {"reg_covar": REG_COVAR, "random_state": seed}
    scores = {
        k: GaussianMixture(k, **how).fit(numbers[train]).score(numbers[held_out])
        for k in COMPONENTS
    }
    best = max(scores, key=lambda k: scores[k])
    return -GaussianMixture(best, **how).fit(numbers).score_samples(numbers)


def hdbscan_scores(numbers: Array) -> Array:
    """One less the strength with which a row belongs to its cluster; one for noise."""
    fitted: Any = HDBSCAN(min_cluster_size=SMALLEST, copy=True)  # pyright: ignore[reportArgumentType]
    fitted.fit(numbers)
    return 1 - np.where(fitted.labels_ < 0, 0.0, fitted.probabilities_)
