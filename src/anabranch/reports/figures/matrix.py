"""How far components overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.style import finish

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_WRITTEN = 12


def overlap_figure(overlap: np.ndarray) -> go.Figure:
    """Draw what each component would lose to the others.

    Args:
        overlap: Mean p(l|x) of samples of k, shape (K, K), as `anabranch.metrics.overlaps` gives.

    Returns:
        The matrix, with shares written in where they are few.
    """
    import plotly.graph_objects as go

    share = 100 * overlap
    written = len(overlap) <= MOST_WRITTEN
    heatmap = go.Heatmap(
        z=share.astype(np.float32),
        zmin=0,
        zmax=100,
        colorscale=[[0, "#ffffff"], [1, "#7fb8d8"]],
        texttemplate="%{z:.1f}" if written else None,
        colorbar={"title": {"text": "share, %", "side": "right"}, "outlinewidth": 0},
        hovertemplate="samples of %{y}: %{z:.2f} % are of %{x}<extra></extra>",
        xgap=1,
        ygap=1,
    )
    fig = go.Figure(heatmap)
    ticks = np.arange(len(overlap))
    fig.update_xaxes(title="component that it is given to", tickvals=ticks, showgrid=False)
    fig.update_yaxes(title="component of the sample", tickvals=ticks, showgrid=False)
    fig.update_yaxes(autorange="reversed")
    own = np.diag(share)
    kept = own[np.isfinite(own)]
    caption = (
        "Each row is of samples of one component, each cell the share of them that belongs to "
        "another by the model."
    )
    if len(kept):
        caption += f" On the diagonal, what they keep: {kept.min():.1f} to {kept.max():.1f} %."
    height = 170 + min(max(32 * len(overlap), 120), 640)
    return finish(fig, "Overlap of components", caption=caption, height=height)
