"""The figure of clusters as a PNG, for papers and pages."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.data import atomic_write, check_output
from anabranch.reports.drawing import draw_dots, draw_line, draw_regions
from anabranch.reports.evaluation import seed
from anabranch.reports.grid import evaluate_grid, window
from anabranch.reports.projection import project
from anabranch.reports.protocol import FittedMixture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_cluster_figure(
    est: FittedMixture,
    X: Any,
    path: str | os.PathLike[str],
    *,
    random_state: Any = 0,
    max_points: int = 3000,
    dpi: int = 160,
) -> None:
    """Draw data and samples by component over the regions of the posterior, as a PNG.

    The picture is that of figure 5.1 of the thesis on VMoNF: the background shows argmax p(c|x),
    the paler the less certain. With one column it is a histogram under the densities of the
    components; with more than two, the first two principal components without regions.

    Args:
        est: Fitted mixture.
        X: Data, shape (n, D) with n >= 2.
        path: File to write, ending in `.png`; it is written whole or not at all.
        random_state: Seed of the choice of rows and of the samples.
        max_points: Most rows that are drawn, and number of samples.
        dpi: Pixels per inch; the picture is 9 inches wide.

    Raises:
        ValueError: When `X` is no table of the mixture's columns, or `path` does not end in .png.
        OSError: When `path` cannot be written.
    """
    from sklearn.utils import check_random_state

    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ValueError(f"path: got {target.name!r}; expected a name that ends in .png.")
    check_output(target)
    if np.ndim(X) != 2 or len(X) < 2:
        raise ValueError(f"X: got shape {np.shape(X)}; expected (rows, columns), 2 rows or more.")
    figure = _cluster_figure(est, X, max_points, check_random_state(random_state))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    with atomic_write(target) as file:
        file.write(buffer.getvalue())


def _cluster_figure(
    est: FittedMixture, X: Any, max_points: int, random_state: np.random.RandomState
) -> Figure:
    from matplotlib.figure import Figure

    predicted, values = np.asarray(est.predict(X)), np.asarray(X, dtype=float)
    rows = np.sort(random_state.permutation(len(values))[:max_points])
    points, components = values[rows], predicted[rows]
    if values.shape[1] == 1:
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        draw_line(figure.subplots(), points[:, 0], components, evaluate_grid(est, values, 600))
        return figure
    samples, origins = est.sample(len(rows), random_state=seed(random_state))
    samples, origins = np.asarray(samples, dtype=float), np.asarray(origins)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    if values.shape[1] == 2:
        grid = evaluate_grid(est, values, 300)
        for ax in (left, right):
            draw_regions(ax, grid)
    else:
        finite = np.isfinite(samples).all(axis=1)
        projected = project(points, samples[finite])
        points, samples, origins = projected.points, projected.samples, origins[finite]
        left.set(xlim=window(points[:, 0]), ylim=window(points[:, 1]))
    draw_dots(left, points, components, "data")
    draw_dots(right, samples, origins, "samples")
    return figure
