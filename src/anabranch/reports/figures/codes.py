"""Codes of a variational autoencoder: where rows lie, and what each number costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.clusters import projection_figure
from anabranch.reports.figures.style import FIRST, SECOND, finish
from anabranch.reports.projection import Projected

if TYPE_CHECKING:
    import plotly.graph_objects as go


def usage_figure(divergence: np.ndarray, active: np.ndarray) -> go.Figure:
    """Draw what each number of a code costs.

    Args:
        divergence: nats of each, shape (J,).
        active: whether it varies with the row, shape (J,).

    Returns:
        A bar for each, from the dearest on.
    """
    import plotly.graph_objects as go

    order = np.argsort(-divergence, kind="stable")
    fig = go.Figure()
    for name, of_kind, color in (("active", active, FIRST), ("not active", ~active, SECOND)):
        chosen = order[of_kind[order]]
        fig.add_trace(
            go.Bar(
                x=[f"z{j + 1}" for j in chosen.tolist()],
                y=divergence[chosen],
                name=name,
                marker_color=color,
                hovertemplate="%{x}: %{y:.3f} nats<extra></extra>",
            )
        )
    names = [f"z{j + 1}" for j in order.tolist()]
    fig.update_xaxes(title="number of the code", categoryorder="array", categoryarray=names)
    fig.update_yaxes(title="KL, nats", rangemode="tozero")
    fig.update_xaxes(showgrid=False)
    caption = (
        f"Nats that each of {len(divergence)} numbers of a code costs; "
        f"{int(active.sum())} are active."
    )
    return finish(fig, "What each number of a code costs", caption=caption, height=360)


def codes_figure(pair: Projected, labels: np.ndarray | None) -> go.Figure:
    """Draw codes of rows beside draws of the prior.

    Args:
        pair: the two in the plane of two numbers of the code.
        labels: of the rows, -1 where unknown, shape (n,); None for none.

    Returns:
        Two panels; rows have the colours of their labels.
    """
    if labels is None:
        nothing = (np.zeros(len(part), dtype=int) for part in (pair.points, pair.samples))
        fig = projection_figure(pair, *nothing)
        fig.update_layout(showlegend=False).update_traces(name="", legendgroup="")
    else:
        first, last = int(labels.min()), int(labels.max())
        names = {f"component {k - first}": _label(k) for k in range(first, last + 1)}
        names[f"component {last + 1 - first}"] = "draws of the prior"
        fig = projection_figure(
            pair, labels - first, np.full(len(pair.samples), last + 1 - first, dtype=int)
        )
        fig.for_each_trace(lambda trace: trace.update(name=names.get(trace.name, trace.name)))
    caption = f"Left the codes of {len(pair.points):,} rows, right as many draws of the prior."
    return finish(
        fig, "Codes of rows, and draws of the prior", caption=caption, height=520, wide=True
    )


def _label(value: int) -> str:
    return "unknown" if value < 0 else f"label {value}"
