"""Pictures as PNG: of clusters of images, latent maps, loss curves."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PER_ROW = 10
DPI = 160


def samples_picture(mixture: Any) -> bytes:
    """Samples of square images of bytes as a PNG, one row for each component.

    Args:
        mixture: a fitted estimator with ``n_components_`` and ``sample``.
    """
    from PIL import Image  # with matplotlib, which the extra `report` brings

    n_components = mixture.n_components_
    X, components = mixture.sample(40 * n_components * PER_ROW)
    side = int(X.shape[1] ** 0.5)
    sheet = np.zeros((n_components * side, PER_ROW * side), dtype=np.uint8)
    for k in range(n_components):
        for place, row in enumerate(X[components == k][:PER_ROW]):
            tile = np.clip(row, 0, 255).astype(np.uint8).reshape(side, side)
            sheet[k * side : (k + 1) * side, place * side : (place + 1) * side] = tile
    buffer = BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    return buffer.getvalue()


def image_sheet(rows: Sequence[Array], levels: int) -> bytes:
    """Rows of images as a PNG, each twice as large.

    Args:
        rows: images (n, C, H, W) of 0..levels-1, with C 1 or 3, as many in each row.
        levels: the number drawn as white is levels - 1.
    """
    from PIL import Image

    shown = np.stack([np.asarray(row) for row in rows]) * (255.0 / (levels - 1))
    n_rows, n_columns, _, height, width = shown.shape
    sheet = shown.transpose(0, 3, 1, 4, 2).reshape(n_rows * height, n_columns * width, -1)
    pixels = np.broadcast_to(np.clip(sheet, 0, 255).round(), (*sheet.shape[:2], 3))
    enlarged = pixels.astype(np.uint8).repeat(2, 0).repeat(2, 1)
    buffer = BytesIO()
    Image.fromarray(enlarged).save(buffer, "PNG")
    return buffer.getvalue()


def latent_map(
    codes: Array, clusters: Labels, samples: Array, origins: Labels, *, seed: int = 0
) -> bytes:
    """Codes in the colours of their clusters, and samples of the prior beside them, as a PNG.

    The plane is that of t-SNE of the codes, into which the samples are placed.

    Args:
        codes: latent means of rows, (n, L).
        clusters: the cluster of each, (n,).
        samples: draws of the prior, (m, L).
        origins: the component of each, (m,).
        seed: of t-SNE.
    """
    from matplotlib.figure import Figure

    from anabranch.reports.drawing import draw_dots
    from anabranch.reports.projection import project

    plane = project(codes, samples, "tsne", scale=False, random_state=seed)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    draw_dots(left, plane.points, clusters, "latent means, by cluster")
    draw_dots(right, plane.samples, origins, "samples of the prior, by component")
    return png(figure)


def loss_curves(histories: Sequence[Sequence[dict[str, float]]], labels: Sequence[str]) -> bytes:
    """Minus the bound on held-out rows, and the annealed standard deviation, as a PNG.

    Args:
        histories: one for each curve, as in ``history_`` of an estimator.
        labels: the name of each.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for history, label in zip(histories, labels, strict=True):
        rows = [row for row in history if "std_bound" in row]
        epochs = [row["epoch"] for row in rows]
        left.plot(epochs, [-row["validation_bound"] for row in rows], label=label)
        right.semilogy(epochs, [row["std_bound"] for row in rows], label=label)
    left.set(xlabel="epoch", ylabel="minus the bound, nats")
    right.set(xlabel="epoch", ylabel="least standard deviation")
    left.legend()
    return png(figure)


def png(figure: Any, dpi: int = DPI) -> bytes:
    """A figure of matplotlib as a PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
