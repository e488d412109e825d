"""The HTML report of a fitted mixture or density."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from anabranch.data import atomic_write, check_output
from anabranch.reports.calibration import calibration_section
from anabranch.reports.codes import codes_section, has_codes, reconstructions_section
from anabranch.reports.columns import columns_section
from anabranch.reports.comparison import labels_section
from anabranch.reports.density_sections import data_section, sample_images_section
from anabranch.reports.evaluation import Evaluation, evaluate, evaluate_density
from anabranch.reports.grid import Grid, density_grid, evaluate_grid
from anabranch.reports.odd_rows import odd_rows_section
from anabranch.reports.page import render_page
from anabranch.reports.protocol import FittedDensity, FittedMixture, has_clusters
from anabranch.reports.request import Names, Request, Wanted, check_request
from anabranch.reports.rivals import rivals_section
from anabranch.reports.section import Section
from anabranch.reports.sections import (
    clusters_section,
    density_section,
    images_section,
    posterior_section,
    sizes_section,
    training_section,
)
from anabranch.reports.separation import separation_section
from anabranch.reports.stability import stability_section
from anabranch.reports.summary import settings_section, summary_section

LINE_POINTS, PLANE_POINTS = 600, 160


def build_report(
    est: FittedMixture | FittedDensity,
    X: Any,
    labels: Any = None,
    *,
    context: Any = None,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
    columns: Names | None = None,
    image_shape: Sequence[int] | None = None,
    label_names: Names | None = None,
    row_names: Names | None = None,
    random_state: Any = 0,
    max_points: int = 5000,
    projection: str = "pca",
    animation: bytes | None = None,
    restarts: int = 0,
) -> str:
    """Show a fitted mixture, or one density, on one HTML page that opens without a network.

    Log-densities are in nats, in the units of the data. Figures in tables are of all rows;
    pictures show at most `max_points` rows and as many samples, and the page says so.

    Args:
        est: Fitted mixture, or a fitted density without clusters.
        X: Data, shape (n, D) with n >= 2.
        labels: Known labels 0, 1, ... and -1 where unknown, shape (n,); for the comparison of
            clusters with labels.
        context: What a conditional density depends on, shape (n, C).
        path: File to write; it is written whole or not at all.
        title: Heading of the page; else it says what kind of model it is.
        columns: Names of the columns; else those of a frame `X`, of the mixture, or x1, x2, ...
        image_shape: (height, width) or (height, width, channels) when rows are images.
        label_names: Names of the labels 0, 1, ...
        row_names: What rows are called; else the index of a frame, or their numbers from 0.
        random_state: Seed of the choice of rows and of the samples.
        max_points: Most rows that a picture shows.
        projection: `"pca"` or `"tsne"` when D > 2.
        restarts: How many times to fit the mixture again, from other starts, to compare the
            clusters; 0 for fits of the start alone, where it has one.
        animation: The training as `render_animation` gives it, to be shown on the page.

    Returns:
        The page.

    Raises:
        ImportError: When the extra `report` is not installed.
        ValueError: When an argument has a wrong value or does not fit the others.
        TypeError: When labels are no integers.
        OSError: When `path` cannot be written.
    """
    from sklearn.utils import check_random_state

    require_extra(projection)
    title = title or ("Mixture of normalizing flows" if has_clusters(est) else "Density")
    wanted = Wanted(
        title, columns, image_shape, label_names, max_points, projection, row_names, restarts
    )
    request = check_request(est, X, labels, wanted)
    if path is not None:
        check_output(path)
    rng = check_random_state(random_state)
    if has_clusters(est):
        mixture = cast("FittedMixture", est)
        ev = evaluate(mixture, X, max_points=max_points, random_state=rng)
        sections = _sections(mixture, ev, request, rng, animation)
        if request.image_shape is None or request.restarts:
            stability = stability_section(mixture, ev, X, rng, restarts=request.restarts)
            place = next((i for i, part in enumerate(sections) if part.key == "rivals"), 2)
            sections[place:place] = [] if stability is None else [stability]
    else:
        C = None if context is None else np.asarray(context, dtype=float)
        density = cast("FittedDensity", est)
        ev = evaluate_density(density, X, C, max_points=max_points, random_state=rng)
        sections = _density_sections(density, ev, request, rng, C)
    html = render_page(request.title, sections)
    if path is not None:
        with atomic_write(path) as file:
            file.write(html.encode())
    return html


def _sections(
    est: FittedMixture,
    ev: Evaluation,
    request: Request,
    rng: np.random.RandomState,
    animation: bytes | None,
) -> list[Section]:
    grid, is_table = model_grid(est, ev), request.image_shape is None
    several = is_table and len(np.unique(ev.predicted)) > 1
    sections = [summary_section(est, ev, request)]
    if several:
        sections.append(columns_section(ev, request))
    sections.append(clusters_section(ev, request, grid, rng))
    if est.n_components_ > 1 and len(ev.samples):
        sections.append(separation_section(est, ev, ways=is_table))
    if is_table:
        sections.append(rivals_section(est, ev, request, rng))
    if request.labels is not None:
        sections.append(labels_section(ev, request.labels, request.label_names))
    if is_table and len(ev.samples):
        sections += [calibration_section(ev, request, rng), odd_rows_section(est, ev, request)]
    sections += [density_section(ev, request, grid), sizes_section(est, ev), posterior_section(ev)]
    if request.image_shape is not None:
        sections.append(images_section(est, ev, request, rng))
    return [*sections, training_section(est, animation), settings_section(est, request)]


def _density_sections(
    est: FittedDensity,
    ev: Evaluation,
    request: Request,
    rng: np.random.RandomState,
    context: np.ndarray | None,
) -> list[Section]:
    grid = None
    if ev.X.shape[1] <= 2:
        size = LINE_POINTS if ev.X.shape[1] == 1 else PLANE_POINTS
        grid = density_grid(est, ev.X, context, size)
    conditional = context is not None
    sections = [
        summary_section(est, ev, request),
        data_section(ev, request, grid, rng, conditional=conditional),
        density_section(ev, request, grid),
    ]
    if request.image_shape is not None:
        sections.append(sample_images_section(ev, request, rng))
    elif len(ev.samples) and context is None:
        sections.insert(-1, calibration_section(ev, request, rng))
    if has_codes(est):
        sections.insert(2, codes_section(est, ev, request, rng))
        sections.insert(3, reconstructions_section(est, ev, request, rng))
    return [*sections, training_section(est), settings_section(est, request)]


def model_grid(est: FittedMixture, ev: Evaluation) -> Grid | None:
    """The mixture on a grid of one or two columns; None where there are more."""
    if ev.X.shape[1] > 2 or ev.view.coding is not None:
        return None
    size = LINE_POINTS if ev.X.shape[1] == 1 else PLANE_POINTS
    return evaluate_grid(est, ev.X, size)


def require_extra(projection: str) -> None:
    """Refuse where what pictures are made with is not installed.

    Raises:
        ImportError: naming it.
    """
    needed = ["plotly", "jinja2", "matplotlib", *(["openTSNE"] if projection == "tsne" else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ImportError(f"A report needs {', '.join(missing)}: pip install 'anabranch[report]'.")
