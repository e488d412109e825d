"""What happens on the page: each answer is a few lines over the desk."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update

from anabranch.explorer.desk import Asked, Desk
from anabranch.explorer.jobs import FitJob
from anabranch.explorer.page import HIDDEN, TAUGHT, options, table
from anabranch.explorer.selection import picked
from anabranch.explorer.views import (
    ACROSS,
    CURVE_HEIGHT,
    SMALL_HEIGHT,
    curve_figure,
    map_figure,
    multiples_figure,
    rows_of_maps,
)

SETTINGS = (
    State("columns", "data"),
    State("flow", "data"),
    State("inference", "data"),
    State("epochs", "value"),
)
AXES = (Input("x", "data"), Input("y", "data"))
WORDS = {
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled: nothing was kept",
}
# Seconds that a report may take.
REPORT_SECONDS = 600


def connect(app: Dash, desk: Desk) -> None:
    """Give a page its answers."""
    _watch_fits(app, desk)
    _ask_for_fits(app, desk)
    _draw_map(app, desk)
    _take_labels(app, desk)
    _find_odd_rows(app, desk)
    _compare(app, desk)
    _export(app, desk)


# -- fits ------------------------------------------------------------------------------------------


def _watch_fits(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("fit-said", "children"),
        Output("curve", "figure"),
        Output("curve", "style"),
        Output("start", "disabled"),
        Output("cancel", "disabled"),
        Output("models-version", "data"),
        Input("tick", "n_intervals"),
        State("models-version", "data"),
        State("fit-said", "children"),
    )
    def look(_: int, version: Any, said: str | None) -> tuple[Any, ...]:
        job = desk.look()
        busy = desk.is_busy
        version = no_update if version == desk.version else desk.version
        if job is None:
            return no_update, no_update, HIDDEN, busy, not busy, version
        text, curve = _progress(job, len(desk.waiting)), job.curve()
        figure = no_update if text == said else curve_figure(curve)
        return text, figure, _tall(CURVE_HEIGHT if curve else 0), busy, not busy, version


def _tall(pixels: int) -> dict[str, str]:
    """The style of a figure of that height; one of none is hidden."""
    return {"height": f"{pixels}px"} if pixels else HIDDEN


def _progress(job: FitJob, waiting: int) -> str:
    """One line on how a fit goes, and what it said if it failed."""
    curve = job.curve()
    text = f"{job.wish.output.name}: {WORDS[job.state]}"
    if curve:
        text += f", epoch {int(curve[-1]['epoch'])}"
        scores = [-entry["validation_nll"] for entry in curve if "validation_nll" in entry]
        text += f", held out {scores[-1]:.4f} nats" if scores else ""
    if waiting:
        text += f"; {waiting} more to come"
    return text if job.state != "failed" else f"{text}\n{job.said}"


def _ask_for_fits(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("fit-said", "children", allow_duplicate=True),
        Input("start", "n_clicks"),
        State("components", "value"),
        State("taught", "data"),
        *SETTINGS,
        prevent_initial_call=True,
    )
    def start(_: int, components: str, taught: str, *settings: Any) -> str:
        return _told(
            lambda: desk.ask([_asked(components, taught == TAUGHT[1], *settings)]), "started"
        )

    @app.callback(
        Output("fit-said", "children", allow_duplicate=True),
        Input("cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(_: int) -> str:
        return _told(desk.cancel, "cancelled")

    @app.callback(
        Output("label-said", "children", allow_duplicate=True),
        Input("refit", "n_clicks"),
        *SETTINGS,
        prevent_initial_call=True,
    )
    def refit(_: int, *settings: Any) -> str:
        k = _components_of(desk)
        return _told(lambda: desk.ask([_asked(k, True, *settings)]), "the refit has started")


def _components_of(desk: Desk) -> str:
    """As many as the classes and the model that is shown have."""
    shown = desk.project.models.get(desk.shown or "")
    known = 0 if shown is None else int(shown.facts()["components"])  # pyright: ignore
    return str(max(known, len(desk.project.classes)))


def _asked(
    components: str | None,
    taught: bool,
    columns: list[str] | None,
    flow: str,
    inference: str,
    epochs: str | None,
) -> Asked:
    text = str(components or "").strip()
    return Asked(
        text if text == "auto" else _number("clusters", text),
        columns or [],
        flow,
        inference,
        _number("epochs", epochs) if str(epochs or "").strip() else None,
        taught,
    )


def _number(name: str, text: object) -> int:
    found = str(text).strip()
    if not re.fullmatch(r"\d{1,6}", found):
        raise ValueError(f"{name}: {found!r} is no number")
    return int(found)


def _told(action: Callable[[], object], done: str) -> str:
    """What became of an action, in a sentence."""
    try:
        action()
    except (ValueError, OSError) as error:
        return str(error)
    return done


# -- the map and labels ----------------------------------------------------------------------------


def _draw_map(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("model-choice", "children"),
        Output("model-choice", "data-value"),
        Output("model", "data"),
        Input("models-version", "data"),
    )
    def models(_: int) -> tuple[list[Any], str, str | None]:
        return options(list(desk.project.models)), json.dumps(desk.shown), desk.shown

    @app.callback(
        Output("map", "figure"),
        *AXES,
        Input("coloring", "data"),
        Input("model", "data"),
        Input("labels-version", "data"),
    )
    def draw(x: str, y: str, coloring: str, model: str | None, _: int) -> Any:
        return map_figure(desk.project, (x, y), coloring, model)

    app.clientside_callback(
        ClientsideFunction("anabranch", "lasso"),
        Output("lasso", "data"),
        Input("map", "relayoutData"),
        Input("map", "clickData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("selected", "children"), Input("lasso", "data"), *AXES, Input("model", "data")
    )
    def count(lasso: object, x: str, y: str, model: str | None) -> str:
        if lasso is None:
            return "no rows are selected"
        try:
            rows = picked(lasso, desk.project.plane(x, y, model))
        except ValueError as error:
            return str(error)
        return f"{rows.sum()} rows are selected"


def _take_labels(app: Dash, desk: Desk) -> None:
    project = desk.project

    @app.callback(
        Output("label-said", "children"),
        Output("labels-version", "data"),
        Input("give", "n_clicks"),
        State("label", "value"),
        State("lasso", "data"),
        State("x", "data"),
        State("y", "data"),
        State("model", "data"),
        State("labels-version", "data"),
        prevent_initial_call=True,
    )
    def give(_: int, name: str | None, lasso: object, *axes: Any) -> Any:
        *plane, version = axes
        with desk.lock:
            said = _told(
                lambda: project.give(picked(lasso, project.plane(*plane)), name or ""), "labelled"
            )
        return _labels_line(desk, said), version + 1

    @app.callback(
        Output("label-said", "children", allow_duplicate=True),
        Output("labels-version", "data", allow_duplicate=True),
        Input("undo", "n_clicks"),
        State("labels-version", "data"),
        prevent_initial_call=True,
    )
    def undo(_: int, version: int) -> Any:
        with desk.lock:
            said = _told(project.undo, "taken back")
        return _labels_line(desk, said), version + 1

    @app.callback(Output("moved", "children"), Input("models-version", "data"))
    def moved(_: int) -> Any:
        if desk.before is None or desk.shown is None:
            return ""
        rows = project.moved(desk.before, desk.shown)
        shown = [_row(desk, row) for row in rows[:20]]
        text = f"{len(rows)} of {len(project)} rows moved from {desk.before} to {desk.shown}"
        return table(shown, text)


def _labels_line(desk: Desk, said: str) -> str:
    labels = desk.project.labels
    counts = ", ".join(f"{name} {(labels == name).sum()}" for name in desk.project.classes)
    return f"{said}; labels: {counts or 'none'}; saved in {desk.project.labelled_path.name}"


def _row(desk: Desk, row: int) -> dict[str, Any]:
    """A row of the table, with its number first."""
    values = desk.project.frame.iloc[row]
    return {"row": row} | {name: _cell(values[name]) for name in desk.project.columns[:12]}


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float | np.floating) else str(value)


# -- odd rows, numbers of clusters, files ----------------------------------------------------------


def _find_odd_rows(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("odd-said", "children"),
        Output("odd-rows", "children"),
        Input("share", "value"),
        Input("model", "data"),
    )
    def odd(percent: float | str | None, model: str | None) -> Any:
        if model not in desk.project.models:
            return "fit a model first", ""
        try:
            found = desk.project.odd_rows(model, float(percent or "nan") / 100)
        except ValueError as error:
            return str(error), ""
        density = desk.project.answers(model).log_density
        rows = [{"log-density": f"{density[row]:.3f}", **_row(desk, row)} for row in found.rows]
        said = (
            f"{found.count} of {len(desk.project)} rows, {float(percent or 0):g} %, lie below "
            f"{found.bound:.3f} nats"
        )
        return said, table(rows, "least likely rows")


def _compare(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("compare-said", "children"),
        Input("compare-start", "n_clicks"),
        State("numbers", "value"),
        *SETTINGS,
        prevent_initial_call=True,
    )
    def start(_: int, numbers: str | None, *settings: Any) -> str:
        def ask() -> None:
            wanted = [text for text in (numbers or "").split(",") if text.strip()]
            desk.ask([_asked(text, False, *settings) for text in wanted])

        return _told(ask, "started; the table grows as fits are done")

    @app.callback(
        Output("compared", "children"),
        Output("multiples", "figure"),
        Output("multiples", "style"),
        Input("models-version", "data"),
        *AXES,
    )
    def compare(_: int, x: str, y: str) -> Any:
        names = list(desk.project.models)
        shown = names[-3 * ACROSS :]
        figure = multiples_figure(desk.project, (x, y), shown)
        height = SMALL_HEIGHT * rows_of_maps(len(shown))
        rows = table(desk.project.compared(names), "fits, in order") if names else ""
        return rows, figure, _tall(height if names else 0)


def _export(app: Dash, desk: Desk) -> None:
    project = desk.project

    @app.callback(
        Output("files", "children"), Input("model", "data"), Input("labels-version", "data")
    )
    def files(model: str | None, _: int) -> Any:
        if model is None:
            return html.P("fit a model first")
        command = desk.command(model)
        lines = [html.P(f"The model is in {model}.")]
        if command is not None:
            lines += [html.P("The same fit in a shell:"), html.Pre(command, tabIndex="0")]
        if project.labelled_path.exists():
            lines.append(html.P(f"The labels are in {project.labelled_path.name}."))
        return lines

    @app.callback(
        Output("export-said", "children"),
        Input("report", "n_clicks"),
        State("model", "data"),
        prevent_initial_call=True,
    )
    def report(_: int, model: str | None) -> str:
        if model not in project.models:
            return "fit a model first"
        return write_report(desk, model)


def write_report(desk: Desk, model: str) -> str:
    """Write the report of a model beside it, and say what came of it."""
    project = desk.project
    output = project.folder / f"{Path(model).stem}.report.html"
    words = ["report", str(project.folder / model), str(project.data), "-o", str(output)]
    if project.label_column is not None:
        words += ["--label-column", project.label_column]
    done = subprocess.run(
        [sys.executable, "-m", "anabranch", *words],
        capture_output=True,
        text=True,
        timeout=REPORT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.stderr.strip() if done.returncode else f"wrote {output.name}"
