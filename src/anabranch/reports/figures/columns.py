"""Columns by cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports import palette
from anabranch.reports.figures.style import finish, text

if TYPE_CHECKING:
    import plotly.graph_objects as go

BARS, ACROSS = 40, 2


def columns_figure(
    X: np.ndarray,
    components: np.ndarray,
    names: Sequence[str],
    *,
    bins: int = BARS,
    categories: Sequence[Sequence[str] | None] | None = None,
) -> go.Figure:
    """Draw the histogram of each column, stacked by component.

    Args:
        X: Columns to draw, shape (n, D); codes for categories, NaN where a cell is missing.
        components: Component of each row, shape (n,).
        names: Names of the D columns.
        bins: Bars of each histogram; values in the farthest percent are in the outermost bars.
        categories: For each column, the names of its codes, or None for numbers; None for numbers
            alone.

    Returns:
        A panel for each column.
    """
    from plotly.subplots import make_subplots

    down = -(-len(names) // ACROSS)
    titles = [text(name) for name in names]
    fig = make_subplots(rows=down, cols=ACROSS, subplot_titles=titles, vertical_spacing=0.5 / down)
    for j, column in enumerate(X.T):
        levels = None if categories is None else categories[j]
        for bars in _bars(column, components, levels, bins):
            bars.showlegend = j == 0
            fig.add_trace(bars, row=j // ACROSS + 1, col=j % ACROSS + 1)
        if levels is not None:
            shown = [text(level) for level in levels]
            ticks = {"tickvals": np.arange(len(levels)), "ticktext": shown}
            fig.update_xaxes(ticks, row=j // ACROSS + 1, col=j % ACROSS + 1)
    fig.update_layout(barmode="stack", bargap=0)
    caption = f"How many rows of each component have which values, in {len(names)} columns."
    height = 140 + 190 * down
    return finish(fig, "Columns by component", caption=caption, height=height, wide=True)


def _bars(
    column: np.ndarray, components: np.ndarray, levels: Sequence[str] | None, bins: int
) -> list[go.Bar]:
    """The bars of one column, those of a component each."""
    import plotly.graph_objects as go

    known = ~np.isnan(column)
    column, of_known = column[known], components[known]
    if levels is not None:
        edges = np.arange(len(levels) + 1) - 0.5
    elif len(column):
        edges = np.linspace(*_ends(column), bins + 1)
    else:
        edges = np.array([0.0, 1.0])
    inside = column.clip(edges[0], edges[-1])
    width = (0.8 if levels is not None else 1.0) * (edges[1] - edges[0])
    return [
        go.Bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=np.histogram(inside[of_known == c], edges)[0],
            width=width,
            marker={"color": palette.color(c), "line": {"width": 0}},
            name=f"component {c}",
            legendgroup=c,
            hovertemplate=f"component {c}: %{{y}} rows at %{{x:.4g}}<extra></extra>",
        )
        for c in np.unique(components).astype(int).tolist()
    ]


def _ends(column: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(column, [0.005, 0.995])
    if low < high:
        return float(low), float(high)
    spread = float(np.ptp(column)) or 1.0
    return float(column.min()) - spread / 2, float(column.max()) + spread / 2
