"""Clusters against known labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.style import finish, text

if TYPE_CHECKING:
    import plotly.graph_objects as go


def contingency_figure(
    table: np.ndarray, labels: Sequence[str], components: Sequence[str]
) -> go.Figure:
    """Draw a contingency table of labels and components.

    Args:
        table: Counts, shape (number of labels, number of components).
        labels: Names of the rows.
        components: Names of the columns.

    Returns:
        The table coloured by each label's share in a component, with the counts written in.
    """
    import plotly.graph_objects as go

    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    written = table.size <= 20 * 20
    heatmap = go.Heatmap(
        z=share.astype(np.float32),
        x=np.arange(table.shape[1]),
        y=np.arange(table.shape[0]),
        zmin=0,
        zmax=100,
        colorscale=[[0, "#ffffff"], [1, "#0072B2"]],
        customdata=table,
        text=np.where(table > 0, table.astype(str), "") if written else None,
        texttemplate="%{text}" if written else None,
        colorbar={"title": {"text": "share of the label, %", "side": "right"}, "outlinewidth": 0},
        hovertemplate="%{customdata} rows, %{z:.1f} % of the label<extra></extra>",
        xgap=1,
        ygap=1,
    )
    fig = go.Figure(heatmap)
    names = [text(name) for name in components]
    fig.update_xaxes(title="component", tickvals=np.arange(len(names)), ticktext=names)
    names = [text(name) for name in labels]
    fig.update_yaxes(title="label", tickvals=np.arange(len(names)), ticktext=names)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_xaxes(showgrid=False)
    height = 170 + min(max(32 * table.shape[0], 120), 640)
    caption = "How many rows of each label, a line each, are in each component, and their share."
    return finish(fig, "Labels against components", caption=caption, height=height)
