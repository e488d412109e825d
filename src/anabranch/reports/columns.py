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
# Categories that a cell of the table names.
COMMONEST = 3


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
        "and quantiles are in the units of the data"
        + (", and of categories the shares of the commonest." if _has_codes(ev) else "."),
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
    categories = [ev.view.categories(j) for j in order.tolist()]
    shown = ev.X[ev.drawn][:, order], ev.predicted[ev.drawn], names
    return columns_figure(*shown, categories=categories)


def _has_codes(ev: Evaluation) -> bool:
    return any(ev.view.categories(j) is not None for j in range(ev.X.shape[1]))


def _entropy(components: np.ndarray) -> float:
    share = np.unique(components, return_counts=True)[1] / len(components)
    return float(-(share * np.log(share)).sum())


def _sentence(ev: Evaluation, request: Request, component: int) -> str:
    """How large a component is, and in which columns it is farthest from all rows."""
    own = ev.predicted == component
    told = [_apart(ev, j, own) for j in range(ev.X.shape[1])]
    order = sorted(range(len(told)), key=lambda j: -told[j][0])
    parts = [f"{request.columns[j]} {told[j][1]}" for j in order[:NAMED] if told[j][0] > 0]
    size = f"Component {component} has {own.sum():,} rows ({own.mean():.1%})"
    farthest = f"; farthest from all rows: {', '.join(parts)}" if parts else ""
    return f"{size}{farthest}."


def _apart(ev: Evaluation, column: int, own: np.ndarray) -> tuple[float, str]:
    """How far some rows are from all in a column, and what that says in its units."""
    values = ev.X[:, column]
    known = ~np.isnan(values)
    if not (own & known).any():
        return 0.0, ""
    names = ev.view.categories(column)
    if names is not None:
        shares = [
            np.bincount(values[rows].astype(int), minlength=len(names)) / rows.sum()
            for rows in (own & known, known)
        ]
        lead = int((shares[0] - shares[1]).argmax())
        text = f"{names[lead]} in {shares[0][lead]:.0%} against {shares[1][lead]:.0%}"
        return float((shares[0] - shares[1])[lead]), text
    median, of_all = (float(np.median(values[rows])) for rows in (own & known, known))
    low, high = np.quantile(values[known], [0.25, 0.75])
    spread = high - low if high > low else np.ptp(values[known])
    text = f"{ev.view.text(column, median)} against {ev.view.text(column, of_all)} (medians)"
    return abs(median - of_all) / (spread or 1.0), text


def _quantiles(ev: Evaluation, request: Request, columns: np.ndarray, found: np.ndarray) -> Table:
    rows = [
        (request.columns[j], *(_cell(ev, j, ev.X[ev.predicted == c, j]) for c in found))
        for j in columns.tolist()
    ]
    header = ("column", *(f"component {c}" for c in found))
    return Table("Median, and 10 % to 90 % quantiles", header, rows, folded=True)


def _cell(ev: Evaluation, column: int, values: np.ndarray) -> str:
    """The middle and the ends of some numbers, or the commonest categories."""
    values = values[~np.isnan(values)]
    if not len(values):
        return "missing"
    names = ev.view.categories(column)
    if names is not None:
        shares = np.bincount(values.astype(int), minlength=len(names)) / len(values)
        top = np.argsort(-shares, kind="stable")[:COMMONEST]
        return ", ".join(f"{names[level]} {shares[level]:.0%}" for level in top if shares[level])
    low, middle, high = (
        ev.view.text(column, float(q)) for q in np.quantile(values, [0.1, 0.5, 0.9])
    )
    return f"{middle} ({low} to {high})"
