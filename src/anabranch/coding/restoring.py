"""How arrays become items of a model, and arrays again."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.coding.container import CompressedFileError
from anabranch.coding.integer_model import IntegerModel
from anabranch.coding.pixels import Pixels

KINDS = "biuf"
MAX_AXES = 16


def items_of(model: IntegerModel, array: NDArray[Any]) -> Pixels:
    r"""Images as the items of a model, (n, size): larger ones are cut into patches.

    Args:
        model: says the shape and the levels.
        array: (n, \*event_shape), or (n, height, width) or (n, height, width, channels) of any
            height and width; whole numbers in any dtype.

    Raises:
        ValueError: for another shape, or numbers that are not among the levels.
    """
    levels = _levels_of(model, array)
    shape = model.event_shape
    if levels.shape[1:] == shape:
        return levels.reshape(len(levels), model.size)
    _check_shape(shape, array.shape)
    height, width = shape[:2]
    pad = [(0, 0), *((0, -n % m) for n, m in zip(levels.shape[1:3], shape[:2], strict=True))]
    pad += [(0, 0)] * (levels.ndim - 3)
    # the edge goes on, which costs less than zeros would
    whole = np.pad(levels, pad, mode="edge")
    n, rows, columns = len(whole), whole.shape[1] // height, whole.shape[2] // width
    parts = whole.reshape(n, rows, height, columns, width, *shape[2:]).swapaxes(2, 3)
    return np.ascontiguousarray(parts).reshape(n * rows * columns, model.size)


def patches(shape: tuple[int, ...], event_shape: tuple[int, ...]) -> int:
    """How many items each image of an array of that shape is.

    Raises:
        ValueError: for a shape that cannot be cut into patches of the model's.
    """
    if shape[1:] == event_shape:
        return 1
    _check_shape(event_shape, shape)
    return math.prod(-(-n // m) for n, m in zip(shape[1:3], event_shape[:2], strict=True))


def images_of(pixels: Pixels, shape: tuple[int, ...], event_shape: tuple[int, ...]) -> Pixels:
    r"""Items as images again, (n, \*shape)."""
    if shape == event_shape:
        return pixels.reshape(-1, *shape)
    height, width = event_shape[:2]
    rows, columns = -(-shape[0] // height), -(-shape[1] // width)
    parts = pixels.reshape(-1, rows, columns, height, width, *shape[2:]).swapaxes(2, 3)
    whole = parts.reshape(-1, rows * height, columns * width, *shape[2:])
    return whole[:, : shape[0], : shape[1]]


def described(array: NDArray[Any]) -> dict[str, Any]:
    """The dtype and shape of an array as plain values."""
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def dtype_and_shape(restore: Mapping[str, Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Those of `described`.

    Raises:
        CompressedFileError: for what no array can be.
    """
    try:
        dtype = np.dtype(str(restore["dtype"]))
        shape = tuple(int(n) for n in restore["shape"])
    except (TypeError, ValueError, LookupError) as error:
        raise CompressedFileError(f"the header names no array: {error}") from error
    if dtype.kind not in KINDS or not 1 <= len(shape) <= MAX_AXES or min(shape) < 0:
        raise CompressedFileError(f"the header names an array of {dtype} and {shape}")
    return dtype, shape


def _levels_of(model: IntegerModel, array: NDArray[Any]) -> Pixels:
    if array.dtype.kind not in KINDS:
        raise ValueError(f"the array must hold whole numbers, got {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < model.levels):
        raise ValueError(
            f"the model codes the levels 0..{model.levels - 1}, the data hold "
            f"{array.min()}..{array.max()}"
        )
    levels = array.astype(np.uint8)
    if array.dtype.kind == "f" and levels.astype(array.dtype).tobytes() != array.tobytes():
        raise ValueError("the data hold numbers that are not whole (or a negative zero)")
    return levels


def _check_shape(event_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    images = len(shape) == len(event_shape) + 1 and shape[3:] == event_shape[2:]
    if not images or 0 in shape[1:]:
        raise ValueError(
            f"the model codes images of {event_shape}, and larger ones in patches; the data have "
            f"the shape {shape}"
        )
