"""Digits 0 to 4 of MNIST, from the shell: what the thesis' table 5.1 is about."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anabranch.data import read_table, read_tables
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import contingency_text, text_table
from anabranch.metrics import clustering_accuracy

CLASSES = "0,1,2,3,4"
TRAIN = ("mnist", "train-images-idx3-ubyte.gz"), ("mnist", "train-labels-idx1-ubyte.gz")
TEST = ("mnist", "t10k-images-idx3-ubyte.gz"), ("mnist", "t10k-labels-idx1-ubyte.gz")
FIT = {
    "components": 5,
    "flow": "maf",
    "flow-option": ["n_layers=5", "hidden=[200]"],  # the thesis' size
    "inference": "variational",
    "batch-size": 250,
    "learning-rate": 1e-3,
    "max-epochs": 5,
    "set": ['init_params="kmeans"', 'posterior={"name": "mlp", "hidden": [512]}'],
}


@experiment(
    "mnist04",
    seeds=1,
    summary="digits 0-4 of MNIST by five MAFs: fit, predict and report from the shell",
    needs_data=True,
)
def mnist04(run: Run) -> Outcome:
    """Test accuracy of q(c|x) and p(c|x) without labels, beside k-means on pixels."""
    train, test = [run.path(*part) for part in TRAIN], [run.path(*part) for part in TEST]
    rows, text = [], ""
    for seed in run.seeds:
        with tempfile.TemporaryDirectory() as folder:
            row, text = _from_the_shell(train, test, Path(folder), seed)
        rows.append([seed, _kmeans_accuracy(train, test, seed), *row])
    mean = np.mean(rows, axis=0)
    figures = [
        Figure("test ACC of q(c|x)", float(mean[2]), 0.88, "higher"),
        Figure("seconds for fit, predict and report", float(max(r[4] for r in rows)), 900, "lower"),
        Figure("test ACC of p(c|x)", float(mean[3])),
        Figure("k-means on pixels, test ACC", float(mean[1])),
        Figure("the thesis' printed table, ACC", 0.757),
    ]
    table = text_table(["seed", "k-means", "ACC q", "ACC p", "s"], rows)
    return Outcome(figures, {**FIT, "classes": CLASSES}, f"{table}\n\n{text}")


def _from_the_shell(
    train: list[Path], test: list[Path], folder: Path, seed: int
) -> tuple[list[float], str]:
    """ACC of q and of p on the test set, and seconds; and the contingency table of q as text."""
    model, started = folder / "model.safetensors", time.perf_counter()
    options = ["--seed", str(seed), "--output", str(model), "--no-use-labels"]
    for name, values in FIT.items():
        for value in values if isinstance(values, list) else [values]:
            options += [f"--{name}", str(value)]
    _anabranch("fit", *train, "--classes", CLASSES, *options)
    labels = read_tables(test).labels
    if labels is None:
        raise ValueError(f"{test[1]} holds no labels")
    kept = labels[labels < 5]
    predicted = [
        _predictions(model, test, folder / f"{method}.parquet", method)
        for method in ("network", "exact")
    ]
    report = folder / "report.html"
    _anabranch("report", model, *test, "--classes", CLASSES, "--output", report)
    seconds = time.perf_counter() - started
    accuracies = [clustering_accuracy(kept, labels) for labels in predicted]
    return [*accuracies, seconds], contingency_text(kept, predicted[0])


def _predictions(model: Path, test: list[Path], output: Path, method: str) -> NDArray[np.int64]:
    options = ["--classes", CLASSES, "--method", method, "--output", str(output)]
    _anabranch("predict", model, *test, *options)
    return read_table(output, columns=["component"]).X[:, 0].astype(np.int64)


def _anabranch(command: str, *arguments: Path | str) -> None:
    line = [sys.executable, "-m", "anabranch", command, *map(str, arguments)]
    subprocess.run(line, check=True)


def _kmeans_accuracy(train: list[Path], test: list[Path], seed: int) -> float:
    fitted, held_out = read_tables(train), read_tables(test)
    if fitted.labels is None or held_out.labels is None:
        raise ValueError("the label files are missing")
    some = np.flatnonzero(fitted.labels < 5)[:10_000]
    few = held_out.labels < 5
    model = kmeans(fitted.X[some].astype(np.float64), 5, seed)
    return clustering_accuracy(
        held_out.labels[few], model.predict(held_out.X[few].astype(np.float64))
    )
