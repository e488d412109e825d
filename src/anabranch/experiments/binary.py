"""Tables of bits: NADE and MADE, with one ordering and the average over several."""

import lzma
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from anabranch.data import load_sklearn
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed, table_of_means
from anabranch.models import build
from anabranch.objectives import Likelihood
from anabranch.training import FitOptions, ReduceOnPlateau, fit

Array = NDArray[np.float64]
Split = dict[str, Array]

# The better of MADE with a fixed and with sampled masks in Germain, Gregor, Murray, Larochelle
# (2015), arXiv:1502.03509, whose test sets have as many rows. Quoted from memory: a check against
# the paper's table is due.
PUBLISHED = {"dna": -79.66, "mushrooms": -9.68}
AVERAGED = "MADE, averaged orderings"
DATASETS = ("nltcs", "mushrooms", "dna", "plants", "jester", "baudio")
NADE: dict[str, Any] = {"name": "nade", "hidden": 64}
MADE: dict[str, Any] = {"name": "made", "hidden": [256], "direct": True}
# Chosen on validation rows: in one ordering the few rows of dna are learned by heart, unless the
# direct path is all there is (a logistic regression for each bit); in all orderings they are not.
SINGLE: dict[str, dict[str, Any]] = {"dna": {"hidden": []}}
ORDERINGS: dict[str, dict[str, Any]] = {
    "dna": {"n_orderings": 16, "fresh": True},
    "mushrooms": {"n_orderings": 4},
}
MANY_ROWS: dict[str, Any] = {"n_orderings": 8}
SMALL = FitOptions(max_epochs=250, batch_size=100, learning_rate=5e-3, patience=20, progress=False)
LARGE = FitOptions(max_epochs=60, batch_size=200, learning_rate=5e-3, patience=6, progress=False)


class Scores(NamedTuple):
    """Mean log-probabilities of the test rows, in nats, and seconds."""

    seed: int
    columns: int
    rows: int
    factorized: float
    tree: float
    nade: float
    made: float
    orderings: float
    s: float


@experiment(
    "binary-density",
    seeds=1,
    summary="NADE and MADE on six binary data sets, with one and with several orderings",
    needs_data=True,
)
def binary_density(run: Run) -> Outcome:
    """Mean log-probability of test rows; validation rows decide when training ends."""
    found = {name: per_seed(run.seeds, scores, name, run) for name in DATASETS}
    figures = [figure for name, rows in found.items() for figure in _figures(name, rows)]
    settings = {
        "NADE": NADE,
        "MADE": MADE,
        "single": SINGLE,
        "orderings": ORDERINGS | {"others": MANY_ROWS},
    }
    settings |= {"small": SMALL.trajectory(), "large": LARGE.trajectory()}
    return Outcome(figures, settings, table_of_means("data", found))


@experiment(
    "binary-digits", seeds=3, summary="NADE and MADE on digits in black and white, beside less"
)
def binary_digits(run: Run) -> Outcome:
    """Mean log-probability of test digits, of which a pixel is one where it is above 8 of 16."""
    rows = per_seed(run.seeds, digit_scores)
    figures = [
        Figure(
            f"{name}, nats above independent pixels",
            float(rows.gain(field, over="factorized").mean()),
            8.0,
            "higher",
        )
        for name, field in (("NADE", "nade"), ("MADE", "made"), (AVERAGED, "orderings"))
    ]
    figures += [Figure(f"{field}, nats", rows.mean(field)) for field in ("factorized", "tree")]
    settings = {"NADE": NADE, "MADE": MADE, "orderings": MANY_ROWS, "fit": SMALL.trajectory()}
    return Outcome(figures, settings, rows.table())


def digit_scores(seed: int) -> Scores:
    """As `scores`, of 60, 20 and 20 per cent of the digits in the order of the seed."""
    X = np.asarray(load_sklearn("digits").X) > 8
    X = np.random.RandomState(seed).permutation(X.astype(float))
    split: Split = {"train": X[:1080], "valid": X[1080:1440], "test": X[1440:]}
    return compared(seed, split, MADE, MADE | MANY_ROWS)


def _figures(name: str, rows: Rows[Scores]) -> list[Figure]:
    means = [rows.mean(model) for model in ("nade", "made", "orderings")]
    figures = [
        Figure(f"{name}, {model}, nats", mean)
        for model, mean in zip(("NADE", "MADE", AVERAGED), means, strict=True)
    ]
    if name in PUBLISHED:
        figures[-1] = replace(figures[-1], target=PUBLISHED[name], better="higher")
    above = max(means) - rows.mean("tree")
    return [*figures, Figure(f"{name}, best above the tree, nats", above, 0.0, "higher")]


def scores(seed: int, name: str, run: Run) -> Scores:
    """All models on one of the data sets."""
    split = read_debd(run.path("binary-debd"), name)
    if run.tuning:
        train, valid = np.split(split["train"], [len(split["train"]) * 9 // 10])
        split = {"train": train, "valid": valid, "test": split["valid"]}
    single = MADE | SINGLE.get(name, {})
    return compared(seed, split, single, MADE | ORDERINGS.get(name, MANY_ROWS))


def compared(seed: int, split: Split, single: dict[str, Any], averaged: dict[str, Any]) -> Scores:
    """NADE, MADE, and MADE averaged over orderings, beside what is known in closed form."""
    n, features = split["train"].shape
    started = time.perf_counter()
    nade, made, orderings = (
        trained(build(**spec, features=features, seed=seed), split, seed)
        for spec in (NADE, single, averaged)
    )
    seconds = time.perf_counter() - started
    known = factorized(split), chow_liu(split)
    return Scores(seed, features, n, *known, nade, made, orderings, seconds)


def trained(model: Any, split: Split, seed: int) -> float:
    """Fit a model of bits; the mean log-probability of the test rows, in nats."""
    parts = {name: torch.as_tensor(X, dtype=torch.float32) for name, X in split.items()}
    set_marginals(model, parts["train"])
    fit(
        Likelihood(model),
        {"x": parts["train"]},
        {"x": parts["valid"]},
        options=SMALL if len(parts["train"]) <= 2000 else LARGE,
        schedules=[ReduceOnPlateau(patience=2)],
        generator=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        return float(model.log_prob(parts["test"]).mean())


@torch.no_grad()
def set_marginals(model: Any, x: torch.Tensor) -> None:
    """Start from independent bits, each as frequent as in the data."""
    network = model.network
    bias = network.last.bias if hasattr(network, "last") else network.out_bias
    bias.copy_(torch.logit(_smooth(x.sum(0), len(x))).reshape(bias.shape))


def factorized(split: Split) -> float:
    """Test log-probability of independent bits, with Laplace's correction."""
    p = _smooth(split["train"].sum(0), len(split["train"]))
    X = split["test"]
    return float((X @ np.log(p) + (1 - X) @ np.log(1 - p)).mean())


def chow_liu(split: Split) -> float:
    """Test log-probability of the best tree (Chow, Liu 1968), with Laplace's correction."""
    X, test = split["train"], split["test"]
    n, d = X.shape
    ones, both = X.sum(0), X.T @ X
    pairs = np.stack(
        [both, ones[:, None] - both, ones[None, :] - both, n - ones[:, None] - ones + both]
    ).reshape(2, 2, d, d)[::-1, ::-1]  # counts of (x_i, x_j), 0 before 1
    joint = (pairs + 1) / (n + 4)
    first, second = joint.sum(1), joint.sum(0)
    information = (joint * np.log(joint / (first[:, None] * second[None]))).sum((0, 1))
    np.fill_diagonal(information, 0.0)
    tree = minimum_spanning_tree(-information)
    order, parent = breadth_first_order(tree, 0, directed=False)
    p = _smooth(ones, n)
    total = test[:, 0] * np.log(p[0]) + (1 - test[:, 0]) * np.log(1 - p[0])
    bits = test.astype(int)
    for i in order[1:]:
        j = parent[i]
        conditional = np.log(joint[:, :, i, j] / joint[:, :, i, j].sum(0))
        total = total + conditional[bits[:, i], bits[:, j]]
    return float(total.mean())


def _smooth(ones: Any, n: int) -> Any:
    return (ones + 1) / (n + 2)


def read_debd(folder: Path, name: str) -> Split:
    """The rows to train, to choose on and to test, as NAME.train.data.xz and so on hold them.

    Source: https://github.com/arranger1044/DEBD
    """
    split = {}
    for part in ("train", "valid", "test"):
        with lzma.open(Path(folder, f"{name}.{part}.data.xz"), "rt") as file:
            split[part] = np.loadtxt(file, dtype=np.float64, delimiter=",")
    return split
