"""The training of a mixture as an animated GIF."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.data import atomic_write, check_output
from anabranch.reports.drawing import draw_density, draw_dots, draw_line, draw_regions
from anabranch.reports.evaluation import seed
from anabranch.reports.gif import encode_gif
from anabranch.reports.grid import Grid, evaluate_grid, window
from anabranch.reports.projection import principal_plane
from anabranch.reports.protocol import FittedMixture, unnamed_columns
from anabranch.reports.replay import held_out, kept_step, replay

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

FRAME_SECONDS, LAST_SECONDS = 0.12, 2.5
LINE_POINTS, PLANE_POINTS = 400, 140
DPI = 100
MARGINS = {"left": 0.012, "right": 0.988, "bottom": 0.015, "top": 0.87, "wspace": 0.025}


@dataclass(frozen=True)
class Frame:
    """What one picture shows.

    Attributes:
        title: The step, and how well the mixture did.
        components: Component of each point that is drawn, shape (m,).
        samples: Finite samples, shape (s, D).
        origins: Components of the samples, shape (s,).
        grid: Posterior and density where D is 1 or 2.
    """

    title: str
    components: np.ndarray
    samples: np.ndarray
    origins: np.ndarray
    grid: Grid | None


def save_animation(
    mixture: FittedMixture, X: Any, path: str | os.PathLike[str], **settings: Any
) -> None:
    """Write the animation of a mixture's training, an animated GIF.

    Args:
        mixture: Fitted with `snapshots`.
        X: Data, shape (n, D) with n >= 2.
        path: File to write, ending in `.gif`; it is written whole or not at all.
        settings: As for `render_animation`.

    Raises:
        ValueError: When the mixture holds no snapshots, `X` is no table of its columns, or `path`
            does not end in .gif.
        OSError: When `path` cannot be written.
    """
    check_animation_path(path)
    content = render_animation(mixture, X, **settings)
    with atomic_write(path) as file:
        file.write(content)


def check_animation_path(path: str | os.PathLike[str]) -> None:
    """Raise the error that writing an animation there would end in."""
    if Path(path).suffix.lower() != ".gif":
        raise ValueError(f"path: got {Path(path).name!r}; expected a name that ends in .gif.")
    check_output(path)


def render_animation(
    mixture: FittedMixture,
    X: Any,
    *,
    random_state: Any = 0,
    max_points: int = 1000,
    scale: bool = True,
) -> bytes:
    """Draw how the clusters, the density and the samples of a mixture evolved in training.

    Each frame is the mixture at a step whose state it kept, with the step and the mean held-out
    log-density in nats; the last, shown longer, is the fitted mixture. Left are the data in the
    colours of their components by `predict`, over argmax p(c|x), the paler the less certain; right
    are samples in the colours of the components that they came from, over the density. With one
    column it is a histogram under the densities of the components; with more than two, the first
    two principal components of the data, without regions. Points, axes and colours are the same in
    all frames, and all samples come from the same noise.

    The picture is that of the slides on VMoNF ("Pinwheel (3 wings), training animation").

    Args:
        mixture: Fitted with `snapshots`.
        X: Data, shape (n, D) with n >= 2.
        random_state: Seed of the choice of rows and of the samples.
        max_points: Most rows that are drawn, and number of samples.
        scale: Whether more than two columns are divided by their standard deviations before they
            are projected.

    Returns:
        The GIF.

    Raises:
        ValueError: When the mixture holds no snapshots, or `X` is no table of its columns.
    """
    from sklearn.utils import check_random_state

    rng = check_random_state(random_state)
    steps = replay(mixture)
    first = next(steps)  # an error where there is none, before any work
    if np.ndim(X) != 2 or len(X) < 2:
        raise ValueError(f"X: got shape {np.shape(X)}; expected (rows, columns), 2 rows or more.")
    mixture.predict(X)  # it tells what is wrong with X
    values = np.asarray(X, dtype=float)
    points = values[np.sort(rng.permutation(len(values))[:max_points])]
    noise = seed(rng)

    def frames() -> Iterator[Frame]:
        yield _frame(first[1], values, points, noise, _title(mixture, first[0]))
        for step, past in steps:
            yield _frame(past, values, points, noise, _title(mixture, step))
        yield _frame(mixture, values, points, noise, _last_title(mixture))

    pictures = _pictures(values, points, frames(), scale=scale)
    return encode_gif(pictures, [FRAME_SECONDS] * (len(pictures) - 1) + [LAST_SECONDS])


def _title(mixture: Any, step: int) -> str:
    nats = held_out(mixture, step)
    text = "" if nats is None else f"   held-out log-density {nats:.3f} nats"
    return f"step {step:,}{text}"


def _last_title(mixture: Any) -> str:
    step = kept_step(mixture)
    return "the fitted mixture" if step is None else f"fitted: {_title(mixture, step)}"


def _frame(
    mixture: FittedMixture, values: np.ndarray, points: np.ndarray, noise: int, title: str
) -> Frame:
    n_columns = values.shape[1]
    with unnamed_columns():
        components = np.asarray(mixture.predict(points))
        size = LINE_POINTS if n_columns == 1 else PLANE_POINTS
        grid = evaluate_grid(mixture, values, size) if n_columns <= 2 else None
    samples, origins = mixture.sample(len(points), random_state=noise)
    samples = np.asarray(samples, dtype=float)
    finite = np.isfinite(samples).all(axis=1)
    return Frame(title, components, samples[finite], np.asarray(origins)[finite], grid)


def _pictures(
    values: np.ndarray, points: np.ndarray, frames: Iterator[Frame], *, scale: bool
) -> list[Image]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.68), dpi=DPI)
    if values.shape[1] == 1:
        return _lines(figure, points, list(frames))
    place = principal_plane(points, scale=scale) if values.shape[1] > 2 else np.asarray
    limits = [window(column) for column in place(values).T]
    return [_plane(figure, points, frame, place, limits) for frame in frames]


def _plane(
    figure: Figure,
    points: np.ndarray,
    frame: Frame,
    place: Callable[[np.ndarray], np.ndarray],
    limits: list[tuple[float, float]],
) -> Image:
    figure.clear()
    left, right = figure.subplots(1, 2, gridspec_kw=MARGINS)
    if frame.grid is not None:
        draw_regions(left, frame.grid)
        draw_density(right, frame.grid)
    draw_dots(left, place(points), frame.components, "data")
    draw_dots(right, place(frame.samples), frame.origins, "samples")
    for ax in (left, right):
        ax.set(xlim=limits[0], ylim=limits[1])
    return _pixels(figure, frame.title)


def _lines(figure: Figure, points: np.ndarray, frames: list[Frame]) -> list[Image]:
    """One picture a frame; the height is that of the last one and of the histogram, with room."""
    pictures, top = [], 0.0
    for frame in reversed(frames):
        figure.clear()
        ax = figure.subplots(gridspec_kw={**MARGINS, "left": 0.09, "bottom": 0.08})
        if frame.grid is not None:
            draw_line(ax, points[:, 0], frame.components, frame.grid)
        top = top or 1.2 * ax.get_ylim()[1]
        ax.set_ylim(0, top)
        pictures.append(_pixels(figure, frame.title))
    return pictures[::-1]


def _pixels(figure: Figure, title: str) -> Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.suptitle(title, y=0.985, fontsize=11, family="monospace")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
