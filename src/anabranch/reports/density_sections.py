"""The sections of a report about a density without clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.evaluation import Evaluation, seed
from anabranch.reports.figures import density_line, image_strip, projection_figure
from anabranch.reports.grid import GRID_CONTEXTS, Grid
from anabranch.reports.projection import Projected, project
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Strip, StripRow
from anabranch.reports.sections import DATA_IMAGES, SAMPLE_IMAGES, drawn_note

if TYPE_CHECKING:
    import plotly.graph_objects as go


def data_section(
    ev: Evaluation,
    request: Request,
    grid: Grid | None,
    random_state: np.random.RandomState,
    *,
    conditional: bool,
) -> Section:
    """Show the data and samples."""
    if ev.X.shape[1] == 1 and grid is not None:
        figure = density_line(ev.X[:, 0], grid, column=request.columns[0])
        text = "The outline is the histogram of the data, at the scale of a density."
    else:
        figure = _pair(ev, request, random_state)
        text = "Left the data, right samples of the model."
        if ev.X.shape[1] > 2:
            how = {"pca": "their first two principal components (PC)", "tsne": "t-SNE"}
            text += (
                f" The {ev.X.shape[1]} columns are projected to two dimensions by "
                f"{how[request.projection]}"
                f"{'' if request.image_shape else ', after division by their standard deviations'};"
                " the data choose the plane and the samples are placed into it."
            )
    texts = [text]
    if conditional:
        texts.append(
            "The density is conditional: each sample is given the context of one of the rows drawn"
            + (
                f", and curves and maps are averages over up to {GRID_CONTEXTS} contexts."
                if grid is not None
                else "."
            )
        )
    return Section("data", "Data and samples", [*texts, drawn_note(ev)], figures=[figure])


def _pair(ev: Evaluation, request: Request, random_state: np.random.RandomState) -> go.Figure:
    points, samples = ev.X[ev.drawn], ev.samples
    if ev.X.shape[1] == 2:
        pair = Projected(points, samples, (request.columns[0], request.columns[1]))
    else:
        pair = project(
            points,
            samples,
            request.projection,
            scale=request.image_shape is None,
            random_state=seed(random_state),
        )
    nothing = np.zeros(len(points), dtype=int), np.zeros(len(samples), dtype=int)
    figure = projection_figure(pair, *nothing).update_layout(showlegend=False)
    return figure.update_traces(name="", legendgroup="")


def sample_images_section(
    ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Show images of the data, and samples."""
    text = (
        "Rows of the data, chosen at random, and samples of the model. Black is the lowest value "
        "of the data and white the highest; samples beyond these are drawn as these."
    )
    shown = random_state.permutation(len(ev.X))[:DATA_IMAGES]
    parts = (
        ("data", ev.X[shown], DATA_IMAGES),
        ("samples", ev.samples[:SAMPLE_IMAGES], SAMPLE_IMAGES),
    )
    value_range = (float(ev.X.min()), float(ev.X.max()))
    strips = [
        Strip(
            caption,
            image_strip(rows, request.image_shape or (), value_range) if len(rows) else "",
            len(rows),
            most,
        )
        for caption, rows, most in parts
    ]
    return Section("images", "Sample images", [text], strips=[StripRow("", strips)])
