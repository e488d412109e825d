"""The probability integral transform of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports import palette
from anabranch.reports.figures.style import MUTED, finish, text

if TYPE_CHECKING:
    import plotly.graph_objects as go

POINTS = 101


def calibration_figure(u: np.ndarray, names: Sequence[str]) -> go.Figure:
    """Draw by how much the share of values below u differs from u, for each column.

    Args:
        u: Transforms by the model, uniform where it is right, shape (n, D); NaN where missing.
        names: Names of the D columns.

    Returns:
        A line for each column around zero.
    """
    import plotly.graph_objects as go

    places = np.linspace(0, 1, POINTS)
    fig = go.Figure()
    largest = 0.0
    for j, name in enumerate(names):
        known = np.sort(u[np.isfinite(u[:, j]), j])
        if not len(known):
            continue
        share = np.searchsorted(known, places, side="right") / len(known)
        largest = max(largest, float(np.abs(share - places).max()))
        line = {"color": palette.color(j), "width": 1.8, "dash": palette.DASHES[j % 4]}
        fig.add_trace(
            go.Scatter(
                x=places,
                y=(share - places).astype(np.float32),
                mode="lines",
                line=line,
                name=text(name),
            )
        )
    fig.add_hline(y=0, line={"color": MUTED, "width": 1})
    fig.update_xaxes(title="share of the model's samples below")
    fig.update_yaxes(title="more rows below than samples", range=_range(largest))
    fig.update_layout(showlegend=True)
    caption = (
        "A line above zero: more rows than samples have small values there. The largest "
        f"difference of the lines is {largest:.3f}."
    )
    return finish(fig, "Rows against samples, by column", caption=caption, height=360)


def _range(largest: float) -> tuple[float, float]:
    reach = max(1.15 * largest, 0.1)
    return -reach, reach
