"""The figure of clusters as a PNG, for papers and pages."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.data import atomic_write, check_output
from anabranch.reports import palette
from anabranch.reports.evaluation import seed
from anabranch.reports.grid import Grid, evaluate_grid, window
from anabranch.reports.projection import project
from anabranch.reports.protocol import FittedMixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
        _draw_line(figure.subplots(), points[:, 0], components, evaluate_grid(est, values, 600))
        return figure
    samples, origins = est.sample(len(rows), random_state=seed(random_state))
    samples, origins = np.asarray(samples, dtype=float), np.asarray(origins)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    if values.shape[1] == 2:
        grid = evaluate_grid(est, values, 300)
        for ax in (left, right):
            _draw_regions(ax, grid)
    else:
        finite = np.isfinite(samples).all(axis=1)
        projected = project(points, samples[finite])
        points, samples, origins = projected.points, projected.samples, origins[finite]
        left.set(xlim=window(points[:, 0]), ylim=window(points[:, 1]))
    _draw_dots(left, points, components, "data")
    _draw_dots(right, samples, origins, "samples")
    return figure


def _draw_regions(ax: Axes, grid: Grid) -> None:
    (left, right), (bottom, top) = ((axis[0], axis[-1]) for axis in grid.axes)
    ax.imshow(
        palette.region_colors(grid.posterior),
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _draw_dots(ax: Axes, points: np.ndarray, components: np.ndarray, title: str) -> None:
    for c in np.unique(components).astype(int).tolist():
        x, y = points[components == c].T
        ax.scatter(
            x,
            y,
            s=9,
            color=palette.color(c),
            marker=palette.marker(c),
            edgecolors="white",
            linewidths=0.25,
        )
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])


def _draw_line(ax: Axes, values: np.ndarray, components: np.ndarray, grid: Grid) -> None:
    density, count = np.exp(grid.log_density), grid.posterior.shape[1]
    parts = [values[components == c] for c in range(count)]
    colors = [palette.color(c) for c in range(count)]
    weights = 60 / (len(values) * (grid.axes[0][-1] - grid.axes[0][0]))
    ax.hist(
        parts,
        bins=list(np.linspace(grid.axes[0][0], grid.axes[0][-1], 61)),
        weights=[np.full(len(part), weights) for part in parts],
        stacked=True,
        color=colors,
        alpha=0.35,
    )
    for c, shade in enumerate(colors):
        ax.plot(grid.axes[0], grid.posterior[:, c] * density, color=shade, linewidth=2)
    ax.plot(grid.axes[0], density, color="#1f2933", linewidth=0.8)
    ax.set(ylabel="density", xlim=(grid.axes[0][0], grid.axes[0][-1]), ylim=(0, None))
    ax.spines[["top", "right"]].set_visible(False)
