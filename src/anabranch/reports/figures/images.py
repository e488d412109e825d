"""Rows of pictures, for data that are images."""

from collections.abc import Sequence

import numpy as np

from anabranch.reports.figures.png import png_data_uri

GAP = 1


def image_strip(
    rows: np.ndarray, image_shape: Sequence[int], value_range: tuple[float, float]
) -> str:
    """Draw images side by side.

    Args:
        rows: Finite images as rows of a table, shape (n, D) with n >= 1.
        image_shape: (height, width), or (height, width, channels) with 1 or 3 channels; the
            product is D.
        value_range: Values drawn as black and as white; values beyond are drawn as these.

    Returns:
        The data URI of a PNG, one pixel for each pixel.

    >>> image_strip(np.zeros((2, 4)), (2, 2), (0.0, 1.0))[:14]
    'data:image/png'
    """
    height, width, *rest = image_shape
    channels = rest[0] if rest else 1
    low, high = value_range
    unit = (rows - low) / (high - low if high > low else 1.0)
    pixels = np.round(255 * np.clip(unit, 0, 1)).astype(np.uint8)
    images = pixels.reshape(len(rows), height, width, channels)
    images = np.broadcast_to(images, (len(rows), height, width, 3))
    framed = np.pad(images, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    strip = framed.transpose(1, 0, 2, 3).reshape(height, -1, 3)[:, :-GAP]
    return png_data_uri(strip)
