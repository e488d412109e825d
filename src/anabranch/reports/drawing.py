"""What pictures by matplotlib are made of: regions, dots and lines in the colours of components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports import palette
from anabranch.reports.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_regions(ax: Axes, grid: Grid) -> None:
    """Colour the plane by the most probable component, the paler the less certain it is."""
    _draw_plane(ax, grid, palette.region_colors(grid.posterior))


def draw_density(ax: Axes, grid: Grid) -> None:
    """Shade the plane by the square root of the density, relative to its highest value."""
    relative = np.exp(0.5 * (grid.log_density - grid.log_density.max()))
    shade = 255 - relative[..., None] * (255 - np.array([150.0, 160.0, 172.0]))
    _draw_plane(ax, grid, np.round(shade).astype(np.uint8))


def _draw_plane(ax: Axes, grid: Grid, colors: np.ndarray) -> None:
    (left, right), (bottom, top) = ((axis[0], axis[-1]) for axis in grid.axes)
    ax.imshow(
        colors,
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    ax.set(xlim=(left, right), ylim=(bottom, top))


def draw_dots(ax: Axes, points: np.ndarray, components: np.ndarray, title: str) -> None:
    """Draw points of shape (n, 2) in the colours and marks of their components."""
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


def draw_line(ax: Axes, values: np.ndarray, components: np.ndarray, grid: Grid) -> None:
    """Draw a histogram of values, shape (n,), under the densities of the components."""
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
