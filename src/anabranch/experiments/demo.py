"""The demonstration: k-means, GaussianMixture and FlowMixture on the same data, and a report."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.estimators import FlowMixture
from anabranch.experiments import text_table
from anabranch.experiments.baselines import best_gaussian_mixture, kmeans
from anabranch.metrics import clustering_accuracy, normalized_mutual_info
from anabranch.problems import Pinwheel
from anabranch.reports import build_report

Array = NDArray[np.float64]
HEADER = ["data", "model", "ACC", "NMI", "held-out nats", "entropy", "s"]


Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows to fit and rows held out, with labels for scoring only.

    Attributes:
        X: rows to fit.
        y: their labels.
        held_out: other rows.
        held_out_y: their labels.
        noise: whether X are integers, to which the models without dequantization get uniform noise.
    """

    X: Array
    y: Labels
    held_out: Array
    held_out_y: Labels
    noise: bool = False


def main() -> None:
    """Print one table, write the report and name it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    pinwheel, entropy = pinwheel_split(), Pinwheel().entropy(n=50_000).value
    print("fitting pinwheel ...", flush=True)
    rows, mixture = compare("pinwheel", pinwheel, FlowMixture(5, random_state=0), f"{-entropy:.3f}")
    print("fitting digits ...", flush=True)
    # 17 levels of grey: the flows see them dequantized, and brought to the real line
    digits = FlowMixture(10, model_options={"levels": 17, "logit_alpha": 0.05}, random_state=0)
    digit_rows, _ = compare("digits", digits_split(), digits, "")
    print(text_table(HEADER, rows + digit_rows))
    print("held-out nats: mean log-density of rows not fitted to; entropy: its upper limit")
    report = out / "report.html"
    build_report(mixture, pinwheel.X, pinwheel.y, path=report, title="Pinwheel, five components")
    print(f"report: {report}")


def pinwheel_split() -> Split:
    """512 points a wing to fit, as many held out."""
    problem = Pinwheel()
    fitted = problem.sample_per_component(512, random_state=0)
    return Split(*fitted, *problem.sample_per_component(512, random_state=1))


def digits_split() -> Split:
    """Two thirds of scikit-learn's digits to fit, the others held out."""
    table = load_sklearn("digits")
    labels = table.labels if table.labels is not None else np.zeros(len(table.X), np.int64)
    order = np.random.RandomState(0).permutation(len(table.X))
    first, second = order[:1200], order[1200:]
    X = table.X.astype(np.float64)
    return Split(X[first], labels[first], X[second], labels[second], noise=True)


def compare(
    name: str, split: Split, mixture: FlowMixture, entropy: str
) -> tuple[list[list[Any]], FlowMixture]:
    """One row of HEADER per model, and the fitted FlowMixture; all fitted to the same rows."""
    rows: list[list[Any]] = []
    n_components: Any = mixture.n_components or 1
    X, held_out = split.X, split.held_out
    if split.noise:
        # the same bound of log P for all: the mean of log p(x + u) over u in [0, 1)
        state = np.random.RandomState(0)
        X, held_out = X + state.random(X.shape), held_out + state.random(held_out.shape)

    def note(model: str, labels: Any, nats: float | str, seconds: float) -> None:
        accuracy = clustering_accuracy(split.held_out_y, labels)
        information = normalized_mutual_info(split.held_out_y, labels)
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
    mixture.fit(split.X)
    seconds = time.perf_counter() - started
    nats = mixture.score(split.held_out)
    note("FlowMixture", mixture.predict(split.held_out), nats, seconds)
    return rows, mixture


if __name__ == "__main__":
    main()
