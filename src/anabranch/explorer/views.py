"""What is drawn: the map of rows, the curve of a fit, and maps side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from anabranch.explorer.project import DISCRIMINANT, PRINCIPAL, UNKNOWN, Answers, Project
from anabranch.explorer.selection import drawn_rows
from anabranch.reports.palette import color, symbol

Array = NDArray[np.float64]
COLORINGS = ("cluster", "log-density", "certainty", "label")
# Rows up to which all are drawn.
MOST_DRAWN = 100_000
# Points beyond which drawing goes to the graphics processor.
FEW = 2000
# Of figures, in pixels.
MAP_HEIGHT, CURVE_HEIGHT, SMALL_HEIGHT = 560, 300, 300
# Small maps side by side.
ACROSS = 3
GREY = "#9a9a9a"
LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "margin": {"l": 55, "r": 15, "t": 20, "b": 50},
    "legend": {"itemsizing": "constant"},
    "font": {"size": 14},
}


def map_figure(
    project: Project, axes: tuple[str, str], coloring: str, model: str | None
) -> go.Figure:
    """Rows in a plane, coloured by what a model or the user says of them.

    Args:
        project: what is explored.
        axes: names of columns, or of `anabranch.explorer.project.PROJECTIONS`.
        coloring: one of `COLORINGS`; without a model all but "label" are grey.
        model: name of the model that is asked; None for none.
    """
    answers = project.answers(model) if model in project.models else None
    points = project.plane(*axes, model)
    groups, names = _groups(project, coloring, answers)
    rows = drawn_rows(groups, MOST_DRAWN)
    figure = go.Figure(layout=LAYOUT)
    if answers is not None and coloring in ("log-density", "certainty"):
        values = answers.log_density if coloring == "log-density" else answers.certainty
        _add_scaled(figure, points, rows, values, coloring)
    else:
        for group, name in enumerate(names):
            _add_group(figure, points, rows[groups[rows] == group], group, name)
    first, second = _titles(axes)
    figure.update_layout(
        dragmode="lasso",
        uirevision=f"{axes}",
        xaxis_title=first,
        yaxis_title=second,
        height=MAP_HEIGHT,
    )
    if len(rows) < len(points):
        figure.update_layout(title=f"{len(rows)} of {len(points)} rows are drawn", margin={"t": 50})
    return figure


def _groups(
    project: Project, coloring: str, answers: Answers | None
) -> tuple[NDArray[np.int64], list[str]]:
    """The group of each row, and the groups' names."""
    if coloring == "label":
        names = [*project.classes, UNKNOWN]
        places = {name: place for place, name in enumerate(names)}
        groups = np.array([places[name] for name in project.labels], dtype=np.int64)
        return groups, [name or "no label" for name in names]
    if answers is None:
        return np.zeros(len(project), np.int64), ["rows"]
    count = int(answers.clusters.max()) + 1
    return answers.clusters, [f"cluster {k}" for k in range(count)]


def _add_group(
    figure: go.Figure, points: Array, rows: NDArray[np.int64], place: int, name: str
) -> None:
    if not len(rows):
        return
    plain = name in ("rows", "no label")
    marker = {
        "size": 6,
        "opacity": 0.45 if plain else 0.75,
        "color": GREY if plain else color(place),
        "symbol": "circle" if plain else symbol(place),
    }
    figure.add_trace(_scatter(points, rows, name=name, marker=marker))


def _add_scaled(
    figure: go.Figure, points: Array, rows: NDArray[np.int64], values: Array, name: str
) -> None:
    low = float(np.quantile(values, 0.01))
    marker = {
        "size": 6,
        "color": np.clip(values[rows], low, None),
        "colorscale": "Cividis",
        "colorbar": {"title": name},
    }
    figure.add_trace(_scatter(points, rows, name=name, marker=marker, showlegend=False))


def _scatter(points: Array, rows: NDArray[np.int64], **how: Any) -> Any:
    kind = go.Scattergl if len(points) > FEW else go.Scatter
    return kind(
        x=points[rows, 0],
        y=points[rows, 1],
        mode="markers",
        customdata=rows,
        hovertemplate="row %{customdata}<br>%{x:.4g}, %{y:.4g}<extra>%{fullData.name}</extra>",
        # what a lasso holds is told by its corners; the looks of points stay
        unselected={"marker": {"opacity": 0.75}},
        **how,
    )


def _titles(axes: tuple[str, str]) -> list[str]:
    words = {PRINCIPAL: "principal component", DISCRIMINANT: "axis between clusters"}
    return [
        f"{words[name]} {place}" if name in words else name
        for place, name in enumerate(axes, start=1)
    ]


def curve_figure(entries: Sequence[dict[str, float]]) -> go.Figure:
    """Held-out log-density of a fit as it goes, in nats: higher is better."""
    figure = go.Figure(layout=LAYOUT)
    for key, name in (("train_loss", "training"), ("validation_nll", "held out")):
        shown = [entry for entry in entries if key in entry]
        if shown:
            figure.add_trace(
                go.Scatter(
                    x=[entry["step"] for entry in shown],
                    y=[-entry[key] for entry in shown],
                    name=name,
                    mode="lines+markers",
                )
            )
    figure.update_layout(height=CURVE_HEIGHT, xaxis_title="steps", yaxis_title="log-density, nats")
    return figure


def rows_of_maps(count: int) -> int:
    """How many rows small maps take."""
    return -(-max(1, count) // ACROSS)


def multiples_figure(
    project: Project, axes: tuple[str, str], names: Sequence[str], *, most: int = 2000
) -> go.Figure:
    """Small maps side by side, coloured by the clusters of each model."""
    points = project.plane(*axes, names[-1] if names else None)
    across = min(ACROSS, max(1, len(names)))
    down = rows_of_maps(len(names))
    titles = [f"{project.models[name].facts()['components']} components" for name in names]
    figure = make_subplots(rows=down, cols=across, subplot_titles=titles or None)
    figure.update_layout(LAYOUT, showlegend=False, height=SMALL_HEIGHT * down, margin={"t": 40})
    for place, name in enumerate(names):
        clusters = project.answers(name).clusters
        rows = drawn_rows(clusters, most)
        marker = {"size": 4, "opacity": 0.75, "color": [color(int(k)) for k in clusters[rows]]}
        trace = go.Scatter(
            x=points[rows, 0], y=points[rows, 1], mode="markers", marker=marker, hoverinfo="skip"
        )
        figure.add_trace(trace, row=place // across + 1, col=place % across + 1)
    return figure
