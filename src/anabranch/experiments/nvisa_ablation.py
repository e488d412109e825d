"""Table II of NVISA in small: estimators of the gradient, with and without std annealing."""

import math
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed, text_table
from anabranch.experiments.image_data import images
from anabranch.experiments.nvisa_variants import (
    BATCH,
    LAST,
    LATENT,
    K,
    Score,
    Variant,
    score,
    steps_per_epoch,
    variants,
)
from anabranch.training import Halving

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# What one core does in 25 minutes, and the published size; `many` stands for 1000 draws.
BUDGETS: dict[str, dict[str, Any]] = {
    "cpu": {"rows": 8000, "pool": 2, "epochs": 60, "hidden": [200, 200], "many": 30},
    "full": {"rows": 60_000, "pool": 1, "epochs": 1400, "hidden": [500, 500], "many": 1000},
}
# Sensitivity to the annealing, by EnumY: first bounds, and epochs between two halvings. It takes
# all images and epochs: with 4000 and 40 any annealing ends in three clusters or fewer.
GRID: dict[str, list[Any]] = {"first": [0.25, 0.5, 1.0], "every": [2, 4]}
# What the published table says: the first is above the second.
CLAIMS = (
    ("EnumY*", "EnumY"),
    ("EnumY (Bernoulli)", "EnumY"),
    ("VIMCO-15*", "EnumY*"),
    ("VIMCO-15 (Bernoulli)", "EnumY (Bernoulli)"),
    ("VIMCO-15*", "VIMCO-15 (Bernoulli)"),
    ("VIMCO-15*", "VIMCO-15* (mean-field)"),
    ("VIMCO-15*", "VIMCO-many*"),
    ("VIMCO-many*", "VIMCO-many"),
)
HEADER = ["variant", "ACC", "std", "NMI", "H(mean q)", "used", "loss", "end", "s", "published"]


@experiment(
    "nvisa-ablation",
    seeds=2,
    summary="NVISA's objectives with and without std annealing on small MNIST (table II)",
    needs_data=True,
)
def nvisa_ablation(run: Run) -> Outcome:
    """All variants from random starts on the same images, and the annealing's two numbers."""
    settings = dict(BUDGETS[run.budget])
    if run.budget == "full" and torch.cuda.is_available():
        settings["device"] = "cuda"
    train, test = (pooled(run, part, settings["pool"]) for part in ("train", "t10k"))
    rows = variants(settings["many"])
    found = {v.name: per_seed(run.seeds, score, v, train[0], test, settings) for v in rows}
    grid, seconds = sensitivity(train[0], test, settings, run.seeds[0])
    plain = found["EnumY"][0].accuracy
    tables = [_table(rows, found), _claims(rows, found), _grid_table(grid, plain)]
    pictures = _pictures(found, grid, plain)
    figures = [*_targets(rows, found), *_reported(rows, found, grid)]
    figures.append(Figure("seconds of the sensitivity to the annealing", seconds))
    constants = {"K": K, "latent": LATENT, "last": LAST, "batch": BATCH, "grid": GRID}
    return Outcome(figures, {**settings, **constants}, "\n\n".join(tables), pictures)


def pooled(run: Run, part: str, pool: int) -> tuple[Tensor, Labels]:
    """Images whose sides are averaged over ``pool`` pixels, (n, D), in [0, 255], and classes."""
    X, labels = images(run, "mnist", part)
    side = math.isqrt(X.shape[1])
    blocks = X.reshape(-1, side // pool, pool, side // pool, pool)
    return torch.as_tensor(blocks.mean((2, 4)).reshape(len(X), -1), dtype=torch.float32), labels


def sensitivity(
    pixels: Tensor, test: tuple[Tensor, Labels], settings: dict[str, Any], seed: int
) -> tuple[Array, float]:
    """Accuracy of EnumY by first bound and halving interval, (first, every), and seconds."""
    started = time.perf_counter()
    enum_y = Variant("EnumY*", None, True, {"name": "enumerate"})
    epoch = steps_per_epoch(min(settings["rows"], len(pixels)))

    def accuracy(first: float, every: int) -> float:
        bound = Halving(first, every=every * epoch, floor=LAST)
        return score(seed, enum_y, pixels, test, settings, bound).accuracy

    grid = [[accuracy(first, every) for every in GRID["every"]] for first in GRID["first"]]
    return np.array(grid), time.perf_counter() - started


# -- what is told ----------------------------------------------------------------------------------


def _share(scores: Rows[Score], end: str) -> float:
    """Share of the runs that ended so."""
    return float((scores.column("end") == end).mean())


def _targets(rows: list[Variant], found: dict[str, Rows[Score]]) -> list[Figure]:
    """What the published table says: which is above which, and what diverges."""
    gain = found["EnumY*"].mean("accuracy") - found["EnumY"].mean("accuracy")
    figures = [Figure("EnumY: ACC with annealing less that without", gain, 0.10, "higher")]
    for above, below in CLAIMS:
        gain = found[above].mean("accuracy") - found[below].mean("accuracy")
        figures.append(Figure(f"ACC of {above} less that of {below}", gain, 0.0, "higher"))
    for variant in rows:
        if variant.published is None:
            share = _share(found[variant.name], "diverged")
            figures.append(Figure(f"{variant.name}: share of seeds diverged", share, 1, "higher"))
    return figures


def _reported(rows: list[Variant], found: dict[str, Rows[Score]], grid: Array) -> list[Figure]:
    figures = []
    for variant in rows:
        scores = found[variant.name]
        figures.append(Figure(f"{variant.name}: test ACC", scores.mean("accuracy")))
        if variant.published is not None:
            figures.append(Figure(f"{variant.name}: published ACC", variant.published))
        if variant.published is not None:
            share = _share(scores, "diverged")
            figures.append(Figure(f"{variant.name}: share of seeds diverged", share))
        share = _share(scores, "collapsed")
        figures.append(Figure(f"{variant.name}: share of seeds collapsed", share))
        figures.append(Figure(f"{variant.name}: seconds", scores.mean("seconds")))
    figures.append(Figure("EnumY*, first seed: best ACC of the annealings", grid.max()))
    figures.append(Figure("EnumY*, first seed: worst ACC of the annealings", grid.min()))
    return figures


def _table(rows: list[Variant], found: dict[str, Rows[Score]]) -> str:
    """Means over seeds; "loss" and "end" as the runs ended."""
    cells = []
    for variant in rows:
        scores = found[variant.name]
        means = [scores.mean(name) for name in ("information", "entropy", "used", "loss")]
        means = [scores.mean("accuracy"), scores.std("accuracy"), *means]
        end = "/".join(dict.fromkeys(one.end for one in scores))
        published = "diverged" if variant.published is None else variant.published
        cells.append([variant.name, *means, end, scores.mean("seconds"), published])
    return text_table(HEADER, cells)


def _claims(rows: list[Variant], found: dict[str, Rows[Score]]) -> str:
    """Where the published ordering holds, and where it does not."""
    published = {variant.name: variant.published or math.nan for variant in rows}
    cells = []
    for above, below in CLAIMS:
        here = found[above].mean("accuracy") - found[below].mean("accuracy")
        there = published[above] - published[below]
        cells.append([f"{above} above {below}", there, here, "yes" if here > 0 else "no"])
    return text_table(["published ordering", "there, by", "here, by", "holds"], cells)


def _grid_table(grid: Array, plain: float) -> str:
    header = ["EnumY*, ACC: first bound", *(f"halved every {n} ep." for n in GRID["every"])]
    cells = [[f"{first:g}", *row] for first, row in zip(GRID["first"], grid.tolist(), strict=True)]
    return text_table(header, [*cells, ["none", *[plain] * len(GRID["every"])]])


def _pictures(found: dict[str, Rows[Score]], grid: Array, plain: float) -> dict[str, bytes]:
    from anabranch.reports.figures.annealing import loss_curves, sensitivity_lines  # heavy

    curves = {name: scores[0].curve for name, scores in found.items()}
    names = ["epoch" if n == 1 else f"{n} epochs" for n in GRID["every"]]
    lines = dict(zip(names, grid.T.tolist(), strict=True))
    return {
        "losses.png": loss_curves(curves),
        "sensitivity.png": sensitivity_lines(GRID["first"], lines, plain),
    }
