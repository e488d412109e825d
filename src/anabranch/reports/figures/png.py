"""Pictures as data URIs, so that a page needs no other file."""

import base64
import io
from typing import Any

import numpy as np


def png_data_uri(pixels: np.ndarray) -> str:
    """Encode pixels as the data URI of a PNG.

    Args:
        pixels: Colours of type uint8, shape (height, width, 3), first row at the top.

    Returns:
        `data:image/png;base64,...`

    >>> png_data_uri(np.zeros((1, 1, 3), dtype=np.uint8))[:22]
    'data:image/png;base64,'
    """
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    # Without this the version of matplotlib is written into every picture.
    metadata: Any = {"Software": None}
    imsave(buffer, pixels, format="png", metadata=metadata)
    return _data_uri("png", buffer.getvalue())


def gif_data_uri(content: bytes) -> str:
    """Give the data URI of a GIF.

    >>> gif_data_uri(b"GIF89a")
    'data:image/gif;base64,R0lGODlh'
    """
    return _data_uri("gif", content)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
