"""Digits 0 to 4 of MNIST, from the shell: what the thesis' table 5.1 is about."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data import read_table
from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Run, contingency_text, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.image_data import Array, Labels, files, images
from anabranch.experiments.outcome import TUNING
from anabranch.experiments.thesis_start import fit_from_equal_components
from anabranch.metrics import clustering_accuracy

CLASSES = "0,1,2,3,4"
PRINTED = 0.757  # the best matching of the thesis' table 5.1
FIT: dict[str, Any] = {
    "components": 5,
    "flow": "maf",
    "flow-option": ["n_layers=5", "hidden=[200]"],  # the thesis' size
    "inference": "variational",
    "batch-size": 250,
    "learning-rate": 1e-3,
    "max-epochs": 5,
    "set": ['init_params="kmeans"', 'model_options.posterior={"name": "mlp", "hidden": [512]}'],
}


class Found(NamedTuple):
    """Test accuracies, seconds in the shell, and the clusters of q."""

    seed: int
    kmeans: float
    acc_q: float
    acc_p: float
    s: float
    q: NDArray[np.int64]


@experiment(
    "mnist04",
    seeds=1,
    summary="digits 0-4 of MNIST by five MAFs: fit, predict and report from the shell",
    needs_data=True,
)
def mnist04(run: Run) -> Outcome:
    """Test accuracy of q(c|x) and p(c|x) without labels, beside k-means on pixels."""
    if run.tuning:
        raise ValueError(f"mnist04 gives whole files to the shell: seeds must be below {TUNING}")
    rows = per_seed(run.seeds, from_the_shell, run)
    longest = rows.worst("s", better="lower")
    figures = [
        Figure("test ACC of q(c|x)", rows.mean("acc_q"), 0.88, "higher"),
        Figure("seconds for fit, predict and report", longest, 900, "lower"),
        Figure("test ACC of p(c|x)", rows.mean("acc_p")),
        Figure("k-means on pixels, test ACC", rows.mean("kmeans")),
        Figure("the thesis' printed table, ACC", PRINTED),
    ]
    _, labels = images(run, "mnist", "t10k", 5)
    table = f"{rows.table()}\n\n{contingency_text(labels, rows[-1].q)}"
    return Outcome(figures, {**FIT, "classes": CLASSES}, table)


# Pires (2020), section 5.2; epochs by budget.
THESIS: dict[str, Any] = {
    "inference": "variational",
    "flow": {"name": "maf", "n_layers": 5, "hidden": [200]},
    "model_options": {
        "levels": 256,
        "posterior": {"name": "mlp", "hidden": [512]},
        "weights": "uniform",
    },
    "init_params": "random",
    "temperature": {"decay": 1e-3},
    "learning_rate": 1e-4,
    "batch_size": 100,
    "fit_options": {"weight_decay": 1e-6, "patience": 10_000, "average": 0.0},
}
THESIS_EPOCHS = {"cpu": 10, "full": 100}


class ByThesis(NamedTuple):
    """Test accuracies, and the clusters of q."""

    seed: int
    acc_q: float
    acc_p: float
    q: NDArray[np.int64]


@experiment(
    "mnist04-thesis",
    seeds=1,
    summary="digits 0-4 of MNIST by the settings and the start of the thesis",
    needs_data=True,
)
def mnist04_thesis(run: Run) -> Outcome:
    """The contingency table of q(c|x), as the thesis prints one."""
    epochs = THESIS_EPOCHS[run.budget]
    X, _ = images(run, "mnist", "train", 5)
    V, y = images(run, "mnist", "t10k", 5)
    rows = per_seed(run.seeds, by_thesis, X, V, y, epochs)
    figures = [
        Figure("test ACC of q(c|x)", rows.mean("acc_q"), PRINTED, "higher"),
        Figure("test ACC of p(c|x)", rows.mean("acc_p")),
    ]
    settings = {**THESIS, "epochs": epochs, "start": "random q, equal components"}
    return Outcome(figures, settings, f"{rows.table()}\n\n{contingency_text(y, rows[0].q)}")


def by_thesis(seed: int, X: Array, V: Array, y: Labels, epochs: int) -> ByThesis:
    """Fit to all training images without their labels."""
    mixture = FlowMixture(5, random_state=seed, **THESIS)
    fit_from_equal_components(mixture, X, epochs=epochs)
    q, p = (mixture.predict(V, method=method) for method in ("network", "exact"))
    return ByThesis(seed, clustering_accuracy(y, q), clustering_accuracy(y, p), q)


def from_the_shell(seed: int, run: Run) -> Found:
    """Fit, predict and report by commands, and k-means beside."""
    train, test = (files(run, "mnist", part) for part in ("train", "t10k"))
    V, y = images(run, "mnist", "t10k", 5)
    X, _ = images(run, "mnist", "train", 5)
    options = ["--seed", str(seed), "--no-use-labels"]
    for name, values in FIT.items():
        for value in values if isinstance(values, list) else [values]:
            options += [f"--{name}", str(value)]
    with tempfile.TemporaryDirectory() as folder:
        model, started = Path(folder) / "model.safetensors", time.perf_counter()
        _anabranch("fit", *train, "--classes", CLASSES, *options, "--output", model)
        q, p = (
            _predictions(model, test, Path(folder) / f"{method}.parquet", method)
            for method in ("network", "exact")
        )
        report = Path(folder) / "report.html"
        _anabranch("report", model, *test, "--classes", CLASSES, "--output", report)
        seconds = time.perf_counter() - started
    return Found(
        seed,
        kmeans=clustering_accuracy(y, kmeans(X[:10_000], 5, seed).predict(V)),
        acc_q=clustering_accuracy(y, q),
        acc_p=clustering_accuracy(y, p),
        s=seconds,
        q=q,
    )


def _predictions(model: Path, test: list[Path], output: Path, method: str) -> NDArray[np.int64]:
    options = ["--classes", CLASSES, "--method", method, "--output", str(output)]
    _anabranch("predict", model, *test, *options)
    return read_table(output, columns=["component"]).X[:, 0].astype(np.int64)


def _anabranch(command: str, *arguments: Path | str) -> None:
    line = [sys.executable, "-m", "anabranch", command, *map(str, arguments)]
    subprocess.run(line, check=True)
