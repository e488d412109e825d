"""The demonstration: k-means, GaussianMixture and FlowMixture on the same data, and a report."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.estimators import FlowMixture
from anabranch.experiments.baselines import (
    best_gaussian_mixture,
    kmeans,
    standardized,
    text_table,
)
from anabranch.metrics import clustering_accuracy, normalized_mutual_info
from anabranch.problems import Pinwheel
from anabranch.reports import build_report

Array = NDArray[np.float64]
HEADER = ["data", "model", "ACC", "NMI", "held-out nats", "entropy", "s"]


def main() -> None:
    """Print one table, write the report and name it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    pinwheel, problem = pinwheel_split(), Pinwheel()
    print("fitting pinwheel ...", flush=True)
    rows, mixture = compare("pinwheel", *pinwheel, 5, f"{-problem.entropy(n=50_000).value:.3f}")
    print("fitting digits ...", flush=True)
    digit_rows, _ = compare("digits", *digits_split(), 10, "")
    print(text_table(HEADER, rows + digit_rows))
    print("held-out nats: mean log-density of rows not fitted to; entropy: its upper limit")
    X, y = pinwheel[0], pinwheel[1]
    report = out / "report.html"
    build_report(mixture, X, y, path=report, title="Pinwheel, five components")
    print(f"report: {report}")


def pinwheel_split() -> tuple[Array, NDArray[np.int64], Array, NDArray[np.int64]]:
    """512 points a wing to fit, as many held out."""
    problem = Pinwheel()
    X, y = problem.sample_per_component(512, random_state=0)
    held_out, held_out_y = problem.sample_per_component(512, random_state=1)
    return X, y, held_out, held_out_y


def digits_split() -> tuple[Array, NDArray[np.int64], Array, NDArray[np.int64]]:
    """Two thirds of scikit-learn's digits to fit, the others held out, standardised."""
    table = load_sklearn("digits")
    labels = table.labels if table.labels is not None else np.zeros(len(table.X), np.int64)
    order = np.random.RandomState(0).permutation(len(table.X))
    first, second = order[:1200], order[1200:]
    X = table.X.astype(np.float64)
    train, test = standardized(X[first], X[second])
    return train, labels[first], test, labels[second]


def compare(
    name: str,
    X: Array,
    y: NDArray[np.int64],
    held_out: Array,
    held_out_y: NDArray[np.int64],
    n_components: int,
    entropy: str,
) -> tuple[list[list[Any]], FlowMixture]:
    """One row of HEADER per model, and the fitted FlowMixture; all fitted to the same rows."""
    rows: list[list[Any]] = []

    def note(model: str, labels: Any, nats: float | str, seconds: float) -> None:
        accuracy = clustering_accuracy(held_out_y, labels)
        information = normalized_mutual_info(held_out_y, labels)
        rows.append([name, model, accuracy, information, nats, entropy, seconds])

    started = time.perf_counter()
    clusters = kmeans(X, n_components, 0)
    note("k-means", clusters.predict(held_out), "", time.perf_counter() - started)
    started = time.perf_counter()
    # the covariance type is chosen on a tenth of the rows, as FlowMixture chooses its start
    tenth = len(X) // 10
    gmm = best_gaussian_mixture(X[tenth:], X[:tenth], [n_components], 0)
    seconds = time.perf_counter() - started
    note("GaussianMixture", gmm.predict(held_out), float(gmm.score(held_out)), seconds)
    started = time.perf_counter()
    mixture = FlowMixture(n_components, random_state=0).fit(X)
    seconds = time.perf_counter() - started
    note("FlowMixture", mixture.predict(held_out), mixture.score(held_out), seconds)
    return rows, mixture


if __name__ == "__main__":
    main()
