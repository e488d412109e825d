"""The section that says what sets clusters apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.metrics import column_information
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.figures import columns_figure
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Columns that are drawn, whose quantiles are told, and that a sentence names.
DRAWN, TOLD, NAMED = 6, 12, 2


def columns_section(ev: Evaluation, request: Request) -> Section:
    """Say in words, quantiles and histograms how clusters differ, the clearest columns first."""
    information = column_information(ev.X, ev.predicted)
    order = np.argsort(-information, kind="stable")
    found = np.unique(ev.predicted)
    entropy = _entropy(ev.predicted)
    ranking = [
        (request.columns[j], f"{information[j]:.4f}", f"{information[j] / entropy:.1%}")
        for j in order
    ]
    texts = [
        *(_sentence(ev, request, int(c)) for c in found),
        "Columns are ranked by their mutual information with the component: how many nats of the "
        f"{entropy:.4f} that say which component a row is of they tell, each by itself. Medians "
        "and quantiles are in the units of the data.",
    ]
    tables = [
        Table("Columns by what they tell", ("column", "nats", "of all"), ranking, folded=True),
        _quantiles(ev, request, order[:TOLD], found),
    ]
    return Section("columns", "What sets clusters apart", texts, tables, [drawn(ev, request)])


def drawn(ev: Evaluation, request: Request) -> go.Figure:
    """Histograms by component of the columns that tell most."""
    order = np.argsort(-column_information(ev.X, ev.predicted), kind="stable")[:DRAWN]
    names = [request.columns[j] for j in order]
    return columns_figure(ev.X[ev.drawn][:, order], ev.predicted[ev.drawn], names)


def _entropy(components: np.ndarray) -> float:
    share = np.unique(components, return_counts=True)[1] / len(components)
    return float(-(share * np.log(share)).sum())


def _sentence(ev: Evaluation, request: Request, component: int) -> str:
    """How large a component is, and in which columns its median is farthest from that of all."""
    own = ev.predicted == component
    medians, all_medians = np.median(ev.X[own], axis=0), np.median(ev.X, axis=0)
    low, high = np.quantile(ev.X, [0.25, 0.75], axis=0)
    spread = np.where(high > low, high - low, np.ptp(ev.X, axis=0))
    apart = np.abs(medians - all_medians) / np.where(spread > 0, spread, 1.0)
    parts = [
        f"{request.columns[j]} {medians[j]:.4g} against {all_medians[j]:.4g}"
        for j in np.argsort(-apart, kind="stable")[:NAMED]
        if apart[j] > 0
    ]
    size = f"Component {component} has {own.sum():,} rows ({own.mean():.1%})"
    farthest = f"; medians farthest from those of all: {', '.join(parts)}" if parts else ""
    return f"{size}{farthest}."


def _quantiles(ev: Evaluation, request: Request, columns: np.ndarray, found: np.ndarray) -> Table:
    rows = []
    for j in columns:
        cells = []
        for c in found:
            low, middle, high = np.quantile(ev.X[ev.predicted == c, j], [0.1, 0.5, 0.9])
            cells.append(f"{middle:.4g} ({low:.4g} to {high:.4g})")
        rows.append((request.columns[j], *cells))
    header = ("column", *(f"component {c}" for c in found))
    return Table("Median, and 10 % to 90 % quantiles", header, rows, folded=True)
