"""Data and samples coloured by component, over the regions of the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports import palette
from anabranch.reports.figures.png import png_data_uri
from anabranch.reports.figures.style import INK, finish, text
from anabranch.reports.grid import Grid, window
from anabranch.reports.projection import Projected

if TYPE_CHECKING:
    import plotly.graph_objects as go


def line_figure(
    values: np.ndarray, components: np.ndarray, grid: Grid, *, column: str = "x", bins: int = 60
) -> go.Figure:
    """Draw one-dimensional data as a histogram under the densities of the components.

    Args:
        values: Data, shape (n,).
        components: Component of each value, shape (n,).
        grid: The mixture on a line.
        column: Name of the column.
        bins: Number of bars.

    Returns:
        The histogram as a density, stacked by component; the curves pi_c p(x|c) and their sum.
    """
    import plotly.graph_objects as go

    density = np.exp(grid.log_density)
    margin = 0 if np.ptp(values) > 0 else 1
    edges = np.linspace(*window(values, margin), bins + 1)
    fig = go.Figure()
    for c in range(grid.posterior.shape[1]):
        fig.add_trace(_density_bars(values[components == c], edges, len(values), c))
        fig.add_trace(_density_curve(grid.axes[0], grid.posterior[:, c] * density, c))
    total = {"color": INK, "width": 1.2}
    fig.add_trace(go.Scatter(x=grid.axes[0], y=density, mode="lines", line=total, name="mixture"))
    fig.update_layout(barmode="stack", bargap=0)
    outside = int(((values < edges[0]) | (values > edges[-1])).sum())
    note = f" ({outside:,} rows are beyond the axis)" if outside else ""
    fig.update_xaxes(title=text(column) + note, showgrid=False)
    fig.update_yaxes(title=f"density, per unit of {text(column)}", rangemode="tozero")
    caption = f"The histogram of {len(values):,} rows under the densities of the components."
    title = "Data by component, and the densities of the components"
    return finish(fig, title, caption=caption)


def _density_bars(values: np.ndarray, edges: np.ndarray, n: int, component: int) -> go.Bar:
    import plotly.graph_objects as go

    counts, widths = np.histogram(values, edges)[0], np.diff(edges)
    return go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts / (n * widths),
        width=widths,
        marker={"color": palette.color(component), "opacity": 0.35, "line": {"width": 0}},
        legendgroup=f"component {component}",
        showlegend=False,
        name=f"data of component {component}",
    )


def _density_curve(x: np.ndarray, y: np.ndarray, component: int) -> go.Scatter:
    import plotly.graph_objects as go

    line = {"color": palette.color(component), "dash": palette.dash(component), "width": 2.5}
    name = f"component {component}"
    return go.Scatter(x=x, y=y, mode="lines", line=line, legendgroup=name, name=name)


def plane_figure(
    points: np.ndarray,
    components: np.ndarray,
    samples: np.ndarray,
    sample_components: np.ndarray,
    grid: Grid,
    *,
    columns: tuple[str, str] = ("x1", "x2"),
    hover: Sequence[str] | None = None,
) -> go.Figure:
    """Draw two-dimensional data and samples side by side over the regions of the posterior.

    This is figure 5.1 of the thesis on VMoNF: the background shows argmax p(c|x), the paler the
    less certain.

    Args:
        points: Data, shape (n, 2).
        components: Component of each point, shape (n,).
        samples: Samples, shape (m, 2).
        sample_components: Component that each sample came from, shape (m,).
        grid: The mixture on a plane; it sets the window.
        columns: Names of the two columns.
        hover: What is told of each point under the pointer, n texts.

    Returns:
        The figure.
    """
    (left, right), (bottom, top) = ((axis[0], axis[-1]) for axis in grid.axes)
    pair = Projected(points, samples, columns)
    parts = components, sample_components
    fig = _pair_figure(pair, parts, ((left, right), (bottom, top)), hover)
    uri = png_data_uri(palette.region_colors(grid.posterior)[::-1])
    place = {"x": left, "y": top, "sizex": right - left, "sizey": top - bottom}
    for panel in (1, 2):
        fig.add_layout_image(source=uri, sizing="stretch", layer="below", **place, row=1, col=panel)
    fig.update_xaxes(showgrid=False)
    fig.update_yaxes(showgrid=False)
    title = "Data and samples over the regions of the posterior"
    caption = _caption(components, "over the regions where each component is the most probable")
    return finish(fig, title, caption=caption, height=520, wide=True)


def projection_figure(
    projected: Projected,
    components: np.ndarray,
    sample_components: np.ndarray,
    *,
    hover: Sequence[str] | None = None,
) -> go.Figure:
    """Draw projected data and samples side by side, coloured by component.

    The regions of the posterior are not drawn: a point of the plane stands for many points of
    the space, which may lie in different regions.

    Args:
        projected: Data and samples in the plane; the data set the window.
        components: Component of each point, shape (n,).
        sample_components: Component that each sample came from, shape (m,).
        hover: What is told of each point under the pointer, n texts.

    Returns:
        The figure.
    """
    spans = window(projected.points[:, 0]), window(projected.points[:, 1])
    fig = _pair_figure(projected, (components, sample_components), spans, hover)
    caption = _caption(components, "in the plane that the data choose")
    title = "Data and samples in two dimensions"
    return finish(fig, title, caption=caption, height=520, wide=True)


def _caption(components: np.ndarray, where: str) -> str:
    """In words, how many points of which component are drawn."""
    found, counts = np.unique(components, return_counts=True)
    sizes = ", ".join(f"{n:,} of component {c}" for c, n in zip(found, counts, strict=True))
    text = f"Left {len(components):,} rows, right samples of the model, {where}"
    return f"{text}: {sizes}." if 1 < len(found) <= 12 else f"{text}."


def _pair_figure(
    pair: Projected,
    parts: tuple[np.ndarray, np.ndarray],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    hover: Sequence[str] | None,
) -> go.Figure:
    from plotly.subplots import make_subplots

    (components, sample_components), (x_range, y_range) = parts, ranges
    told = None if hover is None else np.asarray(hover, dtype=object)
    fig = make_subplots(
        1,
        2,
        shared_xaxes="all",  # pyright: ignore[reportArgumentType] - documented by plotly
        shared_yaxes="all",  # pyright: ignore[reportArgumentType] - as above
        horizontal_spacing=0.04,
        subplot_titles=(
            f"data ({_count(pair.points, x_range, y_range)})",
            f"samples ({_count(pair.samples, x_range, y_range)})",
        ),
    )
    seen = np.union1d(components, sample_components)
    for c in seen.astype(int).tolist():
        own = components == c
        fig.add_trace(_dots(pair.points[own], c, hover=None if told is None else told[own]), 1, 1)
        fig.add_trace(_dots(pair.samples[sample_components == c], c, repeated=True), 1, 2)
    fig.update_xaxes(title=text(pair.axis_names[0]), range=x_range)
    fig.update_yaxes(range=y_range)
    fig.update_yaxes(title=text(pair.axis_names[1]), col=1)
    fig.update_layout(legend={"itemsizing": "constant", "tracegroupgap": 0})
    return fig


def _count(points: np.ndarray, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    (left, right), (bottom, top), (x, y) = x_range, y_range, points.T
    outside = len(points) - int(((x >= left) & (x <= right) & (y >= bottom) & (y <= top)).sum())
    note = f", {outside:,} beyond the axes" if outside else ""
    return f"{len(points):,} points{note}"


def _dots(
    points: np.ndarray,
    component: int,
    *,
    repeated: bool = False,
    hover: np.ndarray | None = None,
) -> go.Scatter:
    import plotly.graph_objects as go

    # float32 halves the size of the page and is far finer than a pixel.
    x, y = points.astype(np.float32).T
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        marker={
            "color": palette.color(component),
            "symbol": palette.symbol(component),
            "size": 5,
            "line": {"color": "white", "width": 0.5},
        },
        legendgroup=f"component {component}",
        showlegend=not repeated,
        name=f"component {component}",
        hovertext=hover,
        hoverinfo=None if hover is None else "text",
    )
