"""What stands on the page: five sections, one under another."""

import json
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from anabranch.explorer.jobs import GAUSSIANS
from anabranch.explorer.project import PRINCIPAL, PROJECTIONS, Project
from anabranch.explorer.views import COLORINGS, MAP_HEIGHT
from anabranch.reports.page import CONFIG

# Milliseconds between two looks at a fit that runs.
LOOK = 700
FLOWS = ("realnvp", "nsf", "maf", GAUSSIANS)
INFERENCES = ("exact", "variational")
TAUGHT = ("are left out", "teach")
HIDDEN = {"display": "none"}
# What a plotly toolbar offers on the map.
TOOLS = [["lasso2d", "select2d", "zoom2d", "pan2d", "resetScale2d", "toImage"]]


def layout(project: Project) -> Any:
    """The page of a project."""
    return html.Main(
        [
            html.H1(f"{project.data.name}"),
            html.P(f"{len(project)} rows, {len(project.columns)} columns; files go to "
                   f"{project.folder.resolve()}"),
            dcc.Interval(id="tick", interval=LOOK),
            dcc.Store(id="lasso"),
            dcc.Store(id="labels-version", data=0),
            dcc.Store(id="models-version", data=0),
            _data(project),
            _fit(project),
            _map(project),
            _odd(),
            _compare(),
            _export(),
        ]
    )  # fmt: skip


def table(rows: Sequence[dict[str, Any]], caption: str) -> Any:
    """Rows of the same keys as a table."""
    if not rows:
        return html.P(f"{caption}: none")
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in rows[0]]))
    body = html.Tbody([html.Tr([html.Td(value) for value in row.values()]) for row in rows])
    return html.Div(
        html.Table([html.Caption(caption), head, body]), className="table", tabIndex="0"
    )


def _data(project: Project) -> Any:
    head = project.frame.head(5).astype(str).to_dict("records")
    return html.Section(
        [
            html.H2("Data"),
            table(project.described(), "columns"),
            html.Details([html.Summary("First rows"), table(head, "the first five rows")]),
        ],
        id="data",
    )


def _fit(project: Project) -> Any:
    return html.Section(
        [
            html.H2("Fit"),
            html.Div(
                [
                    field("Clusters (a number, or auto)", _text("components", "auto")),
                    _choice("Flow", "flow", FLOWS, FLOWS[0]),
                    _choice("Inference", "inference", INFERENCES, INFERENCES[0]),
                    field("Epochs at most (empty: 500)", _text("epochs", "")),
                    _choice("Labels", "taught", TAUGHT, TAUGHT[0]),
                    _choice("Columns", "columns", project.columns, project.columns),
                ],
                className="fields",
            ),
            html.Div(
                [
                    html.Button("Fit", id="start"),
                    html.Button("Cancel", id="cancel", className="plain", disabled=True),
                ],
                className="fields",
            ),
            html.Div(id="fit-said", className="said", role="status"),
            dcc.Graph(id="curve", style=HIDDEN, config=_config(CONFIG["modeBarButtons"])),
        ],
        id="fit",
    )


def _map(project: Project) -> Any:
    names = [*project.columns, *PROJECTIONS]
    first = PRINCIPAL if len(project.columns) > 2 else project.columns[0]
    second = PRINCIPAL if len(project.columns) > 2 else project.columns[-1]
    return html.Section(
        [
            html.H2("Map"),
            html.Div(
                [
                    _choice("Across", "x", names, first),
                    _choice("Up", "y", names, second),
                    _choice("Colour", "coloring", COLORINGS, COLORINGS[0]),
                    _choice("Model", "model", [], None),
                ],
                className="fields",
            ),
            dcc.Graph(id="map", style={"height": f"{MAP_HEIGHT}px"}, config=_config(TOOLS)),
            html.P("Draw a lasso around rows, or click one, and give them a label."),
            html.Div(id="selected", className="said", role="status"),
            html.Div(
                [
                    field("Label (empty takes it away)", _text("label", "")),
                    html.Button("Label the rows", id="give"),
                    html.Button("Undo", id="undo", className="plain"),
                    html.Button("Refit with labels", id="refit"),
                ],
                className="fields",
            ),
            html.Div(id="label-said", className="said", role="status"),
            html.Div(id="moved"),
        ],
        id="explore",
    )


def _odd() -> Any:
    return html.Section(
        [
            html.H2("Odd rows"),
            html.Div(
                [field("Density threshold: percent of the rows below", _share("share"))],
                className="fields",
            ),
            html.Div(id="odd-said", className="said", role="status"),
            html.Div(id="odd-rows"),
        ],
        id="odd",
    )


def _compare() -> Any:
    return html.Section(
        [
            html.H2("How many clusters"),
            html.Div(
                [
                    field("Numbers, with commas between", _text("numbers", "2, 3, 4, 5, 6")),
                    html.Button("Fit all", id="compare-start"),
                ],
                className="fields",
            ),
            html.Div(id="compare-said", className="said", role="status"),
            html.Div(id="compared"),
            dcc.Graph(id="multiples", style=HIDDEN, config=_config(CONFIG["modeBarButtons"])),
        ],
        id="compare",
    )


def _export() -> Any:
    return html.Section(
        [
            html.H2("Export"),
            html.Div(id="files"),
            html.Div(
                [html.Button("Write a report", id="report", className="plain")], className="fields"
            ),
            html.Div(id="export-said", className="said", role="status"),
        ],
        id="export",
    )


def field(label: str, control: Any) -> Any:
    """A control under its label."""
    return html.Div([html.Label(label, htmlFor=control.id), control], className="field")


def options(names: Sequence[str]) -> list[Any]:
    """What a choice offers."""
    return [html.Option(name, value=name) for name in names]


def _text(key: str, value: str) -> Any:
    return dcc.Input(id=key, value=value, type="text", debounce=True, autoComplete="off")


def _share(key: str) -> Any:
    # not type="range": Dash sets a selection in it, which browsers refuse
    return dcc.Input(id=key, value=1, type="number", min=0.1, max=20, step=0.1, debounce=0.2)


def _choice(label: str, key: str, names: Sequence[str], value: str | Sequence[str] | None) -> Any:
    """One of several, or some: the browser's own control, which readers of screens know.

    What is chosen goes to the store of that key, see assets/choices.js.
    """
    many = isinstance(value, list)
    chosen: Any = {"data-store": key, "data-value": json.dumps(value)}
    control = html.Select(options(names), id=f"{key}-choice", multiple=many, **chosen)
    return html.Div([dcc.Store(id=key, data=value), field(label, control)])


def _config(tools: Any) -> Any:
    return {**CONFIG, "modeBarButtons": tools}
