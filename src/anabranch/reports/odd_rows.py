"""The section of the rows that are least like the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from anabranch.reports.calibration import tails
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.protocol import unnamed_columns
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Table

ODDEST, NAMED, BLAMED = 10, 8, 2
MOST_COLUMNS = 200
# nats that another value must win before a cell is called odd
WORTH = 2.0


def odd_rows_section(est: Any, ev: Evaluation, request: Request) -> Section:
    """Show the least dense rows, their values, and which cells make them so."""
    gaps = np.isnan(ev.X).any()
    oddness = np.asarray(est.outlier_scores(_same(ev)), float) if gaps else tails(ev)
    order = np.lexsort((ev.log_density, oddness))[:ODDEST]
    blame = _blame(est, ev, order)
    shown = _columns(ev, order, blame)
    rows = [
        (
            request.row_name(row),
            f"{oddness[row]:.2%}",
            f"{ev.log_density[row]:.2f}",
            _cells(ev, request, row, None if blame is None else blame[i]),
            *(ev.view.text(j, ev.X[row, j]) for j in shown),
        )
        for i, row in enumerate(order.tolist())
    ]
    header = ("row", "of samples as odd", "log-density, nats", "by its cells")
    names = [request.columns[j] for j in shown]
    found = int((oddness <= 0.001).sum())
    texts = [
        f"Of {len(ev.X):,} rows, {found:,} {'is' if found == 1 else 'are'} odder than 999 of 1,000 "
        f"samples of the model; {0.001 * len(ev.X):.1f} would be by chance. A cell is named where "
        "another value, of those that the model draws, would make the row denser by so many nats; "
        "no cell alone need be to blame."
    ]
    table = Table(f"The {len(rows)} most unusual rows", (*header, *names), rows)
    return Section("odd", "Unusual rows", texts, tables=[table])


def _same(ev: Evaluation) -> Any:
    return ev.view.rows(ev.X)


def _blame(est: Any, ev: Evaluation, rows: np.ndarray) -> np.ndarray | None:
    """What each column has to do with it, (rows, D), where the model tells."""
    tell: Any = getattr(est, "outlier_columns", None)
    if tell is None or ev.X.shape[1] > MOST_COLUMNS:
        return None
    with unnamed_columns():
        return np.asarray(tell(ev.view.rows(ev.X[rows])), dtype=float)


def _columns(ev: Evaluation, rows: np.ndarray, blame: np.ndarray | None) -> list[int]:
    """The columns that are shown: those to blame first, in their order."""
    width = ev.X.shape[1]
    weight = np.zeros(width) if blame is None else blame.sum(0)
    chosen = np.argsort(-weight, kind="stable")[:NAMED]
    return sorted(chosen.tolist())


def _cells(ev: Evaluation, request: Request, row: int, gains: np.ndarray | None) -> str:
    if gains is None:
        return "-"
    order = np.argsort(-gains, kind="stable")[:BLAMED].tolist()
    named = [
        f"{request.columns[j]} {ev.view.text(j, ev.X[row, j])} ({gains[j]:.1f} nats)"
        for j in order
        if gains[j] >= WORTH
    ]
    return ", ".join(named) or "none alone"
