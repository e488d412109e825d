"""The sections of a report, each made from a mixture and its evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.evaluation import Evaluation, seed
from anabranch.reports.figures import (
    agreement,
    confidence_figure,
    density_map,
    gif_data_uri,
    image_strip,
    line_figure,
    log_density_histogram,
    plane_figure,
    projection_figure,
    sizes_figure,
    training_figure,
)
from anabranch.reports.figures.style import text as escaped
from anabranch.reports.figures.training import recorded_panels
from anabranch.reports.grid import Grid
from anabranch.reports.projection import project
from anabranch.reports.protocol import FittedDensity, FittedMixture
from anabranch.reports.request import Request
from anabranch.reports.section import Picture, Section, Strip, StripRow, Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

DATA_IMAGES, SAMPLE_IMAGES = 6, 12
HOVERED = 6


def clusters_section(
    ev: Evaluation, request: Request, grid: Grid | None, random_state: np.random.RandomState
) -> Section:
    """Show the data and samples by component; `grid` is there when D is 1 or 2."""
    points, components = ev.X[ev.drawn], ev.predicted[ev.drawn]
    if ev.X.shape[1] == 1 and grid is not None:
        figure = line_figure(points[:, 0], components, grid, column=request.columns[0])
        text = (
            "The histogram of the data is stacked by component, at the scale of a density. "
            "A curve is the weight of a component times its density; the thin dark line is "
            "their sum, the density of the mixture."
        )
    elif grid is not None:
        columns = (request.columns[0], request.columns[1])
        figure = plane_figure(
            points,
            components,
            ev.samples,
            ev.sample_components,
            grid,
            columns=columns,
            hover=hover_texts(ev, request),
        )
        text = (
            "Left the data, coloured by their cluster; right samples of the model, coloured by "
            "the component that they came from. The background is the most probable component "
            "at each place by the exact posterior p(c|x), the paler the less certain."
        )
    else:
        figure = _projection(ev, request, points, components, random_state)
        how = {"pca": "their first two principal components (PC)", "tsne": "t-SNE"}
        codes = ", categories as columns of zeros and ones" if ev.view.coding else ""
        text = (
            f"The {ev.X.shape[1]} columns are projected to two dimensions by "
            f"{how[request.projection]}"
            f"{'' if request.image_shape else ', after division by their standard deviations'}"
            f"{codes}; "
            "the data choose the plane and the samples of the model are placed into it. The "
            "regions of the posterior are not drawn: one point of the plane stands for many "
            "points of the space, which may belong to different components."
        )
    return Section("clusters", "Clusters", [text, drawn_note(ev)], figures=[figure])


def _projection(
    ev: Evaluation,
    request: Request,
    points: np.ndarray,
    components: np.ndarray,
    random_state: np.random.RandomState,
) -> go.Figure:
    places, samples = (_at_least_two(ev.view.spread(part)) for part in (points, ev.samples))
    projected = project(
        places,
        samples,
        request.projection,
        scale=request.image_shape is None,
        random_state=seed(random_state),
    )
    hover = hover_texts(ev, request)
    return projection_figure(projected, components, ev.sample_components, hover=hover)


def _at_least_two(points: np.ndarray) -> np.ndarray:
    """A plane needs two columns; a second one of nothing where there is one."""
    return points if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))


def hover_texts(ev: Evaluation, request: Request) -> list[str]:
    """What is told of each row that is drawn: its name and its values, of the first columns."""
    told = [] if request.image_shape is not None else list(range(ev.X.shape[1]))[:HOVERED]
    texts = []
    for row in ev.drawn.tolist():
        values = [
            f"{escaped(request.columns[j])}: {escaped(ev.view.text(j, ev.X[row, j]))}" for j in told
        ]
        name = escaped(request.row_name(row))
        texts.append("<br>".join([f"{name}, component {ev.predicted[row]}", *values]))
    return texts


def drawn_note(ev: Evaluation) -> str:
    """Say how many rows the pictures show."""
    n, m = len(ev.X), len(ev.drawn)
    rows = (
        f"All {n:,} rows are drawn"
        if m == n
        else f"{m:,} of {n:,} rows, chosen at random, are drawn"
    )
    infinite = (
        f" {ev.n_infinite_samples:,} samples were not finite and are left out."
        if ev.n_infinite_samples
        else ""
    )
    return f"{rows}; figures in tables are of all rows.{infinite}"


def density_section(ev: Evaluation, request: Request, grid: Grid | None) -> Section:
    """Show the density, on a map when D = 2, and how likely the data are."""
    figures = []
    text = (
        "A model that has learnt the distribution of the data gives its own samples the same "
        "log-densities as the data. Rows far to the left are unusual for the model."
    )
    if ev.X.shape[1] == 2 and grid is not None:
        columns = (request.columns[0], request.columns[1])
        figures.append(density_map(grid, ev.log_density, columns=columns))
    figures.append(log_density_histogram(ev.log_density, ev.sample_log_density))
    return Section("density", "Density", [text], figures=figures)


def training_section(est: FittedMixture | FittedDensity, animation: bytes | None = None) -> Section:
    """Show the fit's records, and its animation, a GIF, where there is one."""
    texts, pictures = [], []
    if animation is not None:
        texts.append(
            "The animation shows the mixture at steps of its training, and last as it was fitted. "
            "Its figures are mean log-densities of rows held out from training."
        )
        pictures.append(Picture(gif_data_uri(animation), "Animation of the training"))
    history = list(getattr(est, "history_", None) or [])
    recorded = bool(recorded_panels(history))
    figures = [training_figure(history)] if recorded else []
    texts.append(
        f"What the fit recorded, {len(history):,} times."
        if recorded
        else "The model carries no record of its fit."
    )
    return Section("training", "Training", texts, figures=figures, pictures=pictures)


def sizes_section(est: FittedMixture, ev: Evaluation) -> Section:
    """Show the sizes of the clusters and the weights."""
    weights = np.asarray(est.weights_, dtype=float)
    counts = np.bincount(ev.predicted, minlength=len(weights))
    empty = np.flatnonzero(counts == 0)
    texts = ["Rows are counted where their cluster is; the number of rows is above its bar."]
    if len(empty):
        texts.append(f"No row belongs to component {', '.join(map(str, empty))}.")
    rows = [
        (str(c), f"{counts[c]:,}", f"{counts[c] / len(ev.X):.2%}", f"{weights[c]:.2%}")
        for c in range(len(weights))
    ]
    header = ("component", "rows", "share of rows", "weight")
    table = Table("Sizes and weights", header, rows, folded=True)
    figure = sizes_figure(ev.predicted, weights)
    return Section("sizes", "Cluster sizes", texts, figures=[figure], tables=[table])


def posterior_section(ev: Evaluation) -> Section:
    """Compare the posterior network with the exact posterior."""
    figure = confidence_figure(ev.network, ev.posterior)
    title = "Posterior"
    if ev.log_network is None:
        text = f"There is no posterior network to compare with: {ev.network_reason}"
        return Section("posterior", title, [text], figures=[figure])
    found = agreement(ev.log_network, ev.log_posterior)
    rows = [
        ("mean KL(q || p)", f"{found.mean_kl:.4g} nats"),
        ("median KL(q || p)", f"{found.median_kl:.4g} nats"),
        ("same most probable component", f"{found.same_argmax:.2%} of rows"),
        ("mean highest probability of q", f"{found.mean_confidence_q:.4f}"),
        ("mean highest probability of p", f"{found.mean_confidence_p:.4f}"),
    ]
    if found.n_infinite:
        rows.append(("rows where p excludes what q says, left out above", f"{found.n_infinite:,}"))
    text = (
        "The network q(c|x) approximates the exact posterior p(c|x), which Bayes' rule gives "
        "from the weights and the densities of the components."
    )
    table = Table("q against the exact posterior, over all rows", (), rows)
    return Section("posterior", title, [text], tables=[table], figures=[figure])


def images_section(
    est: FittedMixture, ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Show images of each component: some of the data, and samples."""
    text = (
        "Each row is a component: rows of the data that belong to it, chosen at random, and "
        "samples of it. Black is the lowest value of the data and white the highest; samples "
        "beyond these are drawn as these."
    )
    strips = [
        _component_strips(est, ev, request, c, random_state) for c in range(est.n_components_)
    ]
    return Section("images", "Sample images", [text], strips=strips)


def _component_strips(
    est: FittedMixture,
    ev: Evaluation,
    request: Request,
    component: int,
    random_state: np.random.RandomState,
) -> StripRow:
    members = random_state.permutation(np.flatnonzero(ev.predicted == component))[:DATA_IMAGES]
    samples = est.sample(SAMPLE_IMAGES, component=component, random_state=seed(random_state))[0]
    samples = np.asarray(samples, dtype=float)
    parts = (
        ("data", ev.X[members], DATA_IMAGES),
        ("samples", samples[np.isfinite(samples).all(axis=1)], SAMPLE_IMAGES),
    )
    value_range = (float(ev.X.min()), float(ev.X.max()))
    shape = request.image_shape or ()
    strips = [
        Strip(caption, image_strip(rows, shape, value_range) if len(rows) else "", len(rows), most)
        for caption, rows, most in parts
    ]
    return StripRow(f"component {component}", strips)
