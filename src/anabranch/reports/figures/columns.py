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
    X: np.ndarray, components: np.ndarray, names: Sequence[str], *, bins: int = BARS
) -> go.Figure:
    """Draw the histogram of each column, stacked by component.

    Args:
        X: Columns to draw, shape (n, D).
        components: Component of each row, shape (n,).
        names: Names of the D columns.
        bins: Bars of each histogram; values in the farthest percent are in the outermost bars.

    Returns:
        A panel for each column.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    down = -(-len(names) // ACROSS)
    titles = [text(name) for name in names]
    fig = make_subplots(rows=down, cols=ACROSS, subplot_titles=titles, vertical_spacing=0.5 / down)
    found = np.unique(components).astype(int).tolist()
    for j, column in enumerate(X.T):
        edges = np.linspace(*_ends(column), bins + 1)
        inside = column.clip(edges[0], edges[-1])
        for c in found:
            bars = go.Bar(
                x=(edges[1:] + edges[:-1]) / 2,
                y=np.histogram(inside[components == c], edges)[0],
                width=edges[1] - edges[0],
                marker={"color": palette.color(c), "line": {"width": 0}},
                name=f"component {c}",
                legendgroup=c,
                showlegend=j == 0,
                hovertemplate=f"component {c}: %{{y}} rows at %{{x:.4g}}<extra></extra>",
            )
            fig.add_trace(bars, row=j // ACROSS + 1, col=j % ACROSS + 1)
    fig.update_layout(barmode="stack", bargap=0)
    return finish(fig, "Columns by component", height=140 + 190 * down)


def _ends(column: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(column, [0.005, 0.995])
    if low < high:
        return float(low), float(high)
    spread = float(np.ptp(column)) or 1.0
    return float(column.min()) - spread / 2, float(column.max()) + spread / 2
