"""The section that asks whether rows are distributed as the model says."""

from __future__ import annotations

from typing import Any

import numpy as np

from anabranch.estimators.base import share_below
from anabranch.metrics import coverage, largest_deviation, transform_by_draws
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.figures.calibration import calibration_figure
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Table

LEVELS = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
DRAWN, TOLD = 6, 12
# Kolmogorov's limit distribution at 5 %, of all columns together
CHANCE = 0.05


def calibration_section(
    ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Compare rows with the model's own samples, column by column and by density."""
    rows = np.arange(len(ev.X)) if ev.held_out is None else ev.held_out
    u = transform_by_draws(ev.X[rows], ev.samples, random_state)
    n, m = len(rows), len(ev.samples)
    known = np.maximum(np.isfinite(u).sum(0), 1)
    limits = _limit(u.shape[1]) * np.sqrt((known + m) / (known * m))
    deviations = np.array([largest_deviation(column) for column in u.T])
    order = np.argsort(-deviations / limits, kind="stable")
    off = int((deviations > limits).sum())
    table = Table(
        "Columns by their largest deviation",
        ("column", "deviation", "by chance up to"),
        [
            (request.columns[j], f"{deviations[j]:.3f}", f"{limits[j]:.3f}")
            for j in order[:TOLD].tolist()
        ],
        folded=True,
    )
    shares = coverage(tails(ev)[rows], LEVELS)
    cover = [
        (f"{level:.0%}", f"{share:.1%}", f"± {200 * np.sqrt(level * (1 - level) / n):.1f} %")
        for level, share in zip(LEVELS, shares, strict=True)
    ]
    regions = Table(
        "Rows in the densest regions",
        ("region that holds, of the model's samples", "holds, of these rows", "by chance"),
        cover,
    )
    verdict = (
        f"{off} of {u.shape[1]} columns deviate by more than chance explains."
        if off
        else "No column deviates by more than chance explains."
    )
    drawn = order[:DRAWN].tolist()
    figure = calibration_figure(u[:, drawn], [request.columns[j] for j in drawn])
    texts = [
        f"{which_rows(ev)} Each value is told as the share of the model's samples below it (the "
        f"probability integral transform), which is uniform where the model is right. {verdict}"
    ]
    title = "Is the density right?"
    return Section("calibration", title, texts, tables=[regions, table], figures=[figure])


def tails(ev: Evaluation) -> np.ndarray:
    """The share of the model's samples that are not denser than each row, (n,)."""
    return share_below(ev.sample_log_density, ev.log_density)


def which_rows(ev: Evaluation) -> str:
    """Which rows a figure is of."""
    if ev.held_out is None:
        return f"Of all {len(ev.X):,} rows, which the fit may have been trained on."
    return f"Of the {len(ev.held_out):,} rows that the fit held out."


def _limit(n_columns: int) -> float:
    """What Kolmogorov's statistic times the root of the rows exceeds by chance once in twenty."""
    alpha: Any = CHANCE / max(n_columns, 1)
    return float(np.sqrt(-np.log(alpha / 2) / 2))
