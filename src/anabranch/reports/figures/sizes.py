"""How many rows each component got, beside its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.style import FIRST, SECOND, finish

if TYPE_CHECKING:
    import plotly.graph_objects as go


def sizes_figure(components: np.ndarray, weights: np.ndarray) -> go.Figure:
    """Draw the share of rows of each component beside its weight pi_c.

    Args:
        components: Component of each row, shape (n,).
        weights: Weights of the K components, shape (K,).

    Returns:
        Two bars for each component.
    """
    import plotly.graph_objects as go

    counts = np.bincount(components, minlength=len(weights))
    names = np.arange(len(weights))
    few = len(weights) <= 15
    shares = go.Bar(
        x=names,
        y=100 * counts / max(len(components), 1),
        name="rows",
        marker_color=FIRST,
        text=counts if few else None,
        textposition="outside",
        cliponaxis=False,
        customdata=counts,
        hovertemplate="component %{x}: %{customdata} rows, %{y:.1f} %<extra></extra>",
    )
    prior = go.Bar(
        x=names,
        y=100 * np.asarray(weights, dtype=float),
        name="weight",
        marker={"color": SECOND},
        hovertemplate="component %{x}: weight %{y:.1f} %<extra></extra>",
    )
    fig = go.Figure([shares, prior])
    fig.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    fig.update_xaxes(title="component", showgrid=False, dtick=1 if len(weights) <= 30 else None)
    fig.update_yaxes(title="share, %", rangemode="tozero")
    caption = f"Shares of {len(components):,} rows and weights of {len(weights)} components."
    return finish(fig, "Rows of each component, and its weight", caption=caption, height=360)
