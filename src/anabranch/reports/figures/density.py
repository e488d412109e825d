"""Where the model puts its probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.style import FIRST, SECOND, finish, text
from anabranch.reports.grid import Grid, window

if TYPE_CHECKING:
    import plotly.graph_objects as go

# A density falls without end outside its data; colours below this depth would tell nothing.
DEPTH_BELOW_DATA = 3.0


def density_map(
    grid: Grid, log_density: np.ndarray, *, columns: tuple[str, str] = ("x1", "x2")
) -> go.Figure:
    """Draw the log-density of a two-dimensional model as a map with contour lines.

    Args:
        grid: The mixture on a plane.
        log_density: Log-densities of the data in nats, shape (n,). The colours end 3 nats below
            their 0.5 % quantile; what is less dense has the last colour.
        columns: Names of the two columns.

    Returns:
        The figure.
    """
    import plotly.graph_objects as go

    finite = log_density[np.isfinite(log_density)]
    top = float(grid.log_density.max())
    floor = float(np.quantile(finite, 0.005)) - DEPTH_BELOW_DATA if len(finite) else top - 20
    step = _round_step(top - floor)
    contour = go.Contour(
        x=grid.axes[0].astype(np.float32),
        y=grid.axes[1].astype(np.float32),
        z=np.maximum(grid.log_density, floor).astype(np.float32),
        colorscale="Cividis",
        zmin=floor,
        zmax=top,
        contours={
            "coloring": "heatmap",
            "start": np.ceil(floor / step) * step,
            "end": top,
            "size": step,
        },
        line={"width": 0.5, "color": "rgba(255,255,255,0.6)"},
        colorbar={"title": {"text": "log p(x), nats", "side": "right"}, "outlinewidth": 0},
        hovertemplate="log p = %{z:.2f} nats<extra></extra>",
    )
    fig = go.Figure(contour)
    fig.update_xaxes(title=text(columns[0]))
    fig.update_yaxes(title=text(columns[1]))
    caption = f"Log-density by place, from {floor:.1f} to {top:.1f} nats; lighter is denser."
    return finish(fig, "Log-density of the model", caption=caption, height=520)


def density_line(values: np.ndarray, grid: Grid, *, column: str = "x", bins: int = 60) -> go.Figure:
    """Draw one-dimensional data as a histogram under the density of the model.

    Args:
        values: Data, shape (n,).
        grid: The density on a line.
        column: Name of the column.
        bins: Number of bars.

    Returns:
        The figure.
    """
    import plotly.graph_objects as go

    margin = 0 if np.ptp(values) > 0 else 1
    edges = np.linspace(*window(values, margin), bins + 1)
    heights = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    fig = go.Figure(step_outline(edges, heights, "data", FIRST, dashed=False))
    line = {"color": SECOND, "width": 2.5}
    density = np.exp(grid.log_density)
    fig.add_trace(go.Scatter(x=grid.axes[0], y=density, mode="lines", line=line, name="density"))
    outside = int(((values < edges[0]) | (values > edges[-1])).sum())
    note = f" ({outside:,} rows are beyond the axis)" if outside else ""
    fig.update_xaxes(title=text(column) + note, showgrid=False)
    fig.update_yaxes(title=f"density, per unit of {text(column)}", rangemode="tozero")
    caption = f"The histogram of {len(values):,} rows under the density of the model."
    return finish(fig, "Data, and the density of the model", caption=caption)


def _round_step(span: float, most: int = 12) -> float:
    """Give the least of 1, 2, 5 times a power of ten that divides a span in at most so many parts.

    >>> _round_step(11.0), _round_step(0.3)
    (1.0, 0.05)
    """
    least = max(span, 1e-9) / most
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(power * m for m in (1, 2, 5, 10) if power * m >= least * (1 - 1e-9)))


def log_density_histogram(
    data: np.ndarray, samples: np.ndarray, *, bins: int = 50, tail: float = 0.005
) -> go.Figure:
    """Compare the log-densities of the data with those of the model's own samples.

    For a model that has learnt the distribution of the data both have the same distribution;
    data to the left of the samples are rows that the model finds unlikely.

    Args:
        data: Log-densities of the data in nats, shape (n,).
        samples: Log-densities of samples in nats, shape (m,).
        bins: Number of bars.
        tail: Share of all values that the left end may cut off; how many it cuts is in the
            name of the axis.

    Returns:
        The figure.
    """
    import plotly.graph_objects as go

    values = np.concatenate([data, samples])
    finite = values[np.isfinite(values)]
    low, high = _histogram_range(finite, tail)
    edges = np.linspace(low, high, bins + 1)
    fig = go.Figure()
    for name, part, shade in (("data", data, FIRST), ("samples", samples, SECOND)):
        share = 100 * np.histogram(part, edges)[0] / max(len(part), 1)
        fig.add_trace(step_outline(edges, share, name, shade, dashed=name == "samples"))
    outside = [int((~((part >= low) & (part <= high))).sum()) for part in (data, samples)]
    note = f"; {outside[0]} rows and {outside[1]} samples are outside" if any(outside) else ""
    fig.update_xaxes(title=f"log p(x), nats{note}", showgrid=False)
    fig.update_yaxes(title="share, % per bar", rangemode="tozero")
    middles = [
        f"{float(np.median(part)):.2f} nats for {name}"
        for name, part in (("rows", data), ("samples", samples))
        if len(part)
    ]
    caption = f"Histograms of log-densities; medians: {', '.join(middles)}."
    title = "Log-densities of the data and of samples"
    return finish(fig, title, caption=caption, height=360)


def _histogram_range(values: np.ndarray, tail: float) -> tuple[float, float]:
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(np.quantile(values, tail)), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def step_outline(
    edges: np.ndarray, heights: np.ndarray, name: str, shade: str, *, dashed: bool
) -> go.Scatter:
    """Draw a histogram as an outline: two of them, overlaid, stay readable in grey print.

    Args:
        edges: Ends of the bars, shape (b + 1,).
        heights: Heights of the bars, shape (b,).
        name: Name in the legend.
        shade: Colour as `#rrggbb`.
        dashed: Whether the outline is dashed.

    Returns:
        The trace.
    """
    import plotly.graph_objects as go

    return go.Scatter(
        x=np.repeat(edges, 2),
        y=np.concatenate([[0], np.repeat(heights, 2), [0]]),
        mode="lines",
        fill="tozeroy",
        fillcolor=f"rgba({int(shade[1:3], 16)},{int(shade[3:5], 16)},{int(shade[5:7], 16)},0.25)",
        line={"color": shade, "width": 1.8, "dash": "dash" if dashed else "solid"},
        name=name,
        hoverinfo="skip",
    )
