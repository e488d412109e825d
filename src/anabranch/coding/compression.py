"""Compress and decompress: from a source to a file, and from a file to what it was."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.coding.container import (
    MAX_BLOCK,
    CompressedFileError,
    Container,
    Header,
    write_block,
    write_header,
)
from anabranch.coding.integer_model import IntegerModel
from anabranch.coding.pixels import Pixels
from anabranch.coding.restoring import dtype_and_shape, images_of
from anabranch.coding.sinks import make_sink
from anabranch.coding.sources import ArraySource, Source
from anabranch.data.atomic import atomic_write

BLOCK = 2000  # items: memory of some hundred MB for small images, states of lanes of no weight
BLOCK_PIXELS = 1 << 22


class Written(NamedTuple):
    """What compressing came to.

    Attributes:
        items: images, or their patches.
        pixels: of all of them.
        bytes: of the file.
    """

    items: int
    pixels: int
    bytes: int

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file for each pixel, the header counted."""
        return 8 * self.bytes / max(self.pixels, 1)


def compress(
    source: Source,
    model: IntegerModel,
    path: Path,
    *,
    verify: bool = True,
    on_items: Callable[[int], object] | None = None,
) -> Written:
    """Write a source to a compressed file, block by block; it appears when it is complete.

    Args:
        source: the data.
        model: that codes them.
        path: the file.
        verify: whether each block is decoded before it is written.
        on_items: called with the number of items of each block.

    Raises:
        ValueError: for data that the model cannot code.
        OSError: where the file cannot be written.
    """
    with atomic_write(path) as file:
        return _write(file, source, model, verify, on_items)


def _write(
    file: BinaryIO,
    source: Source,
    model: IntegerModel,
    verify: bool,
    on_items: Callable[[int], object] | None,
) -> Written:
    items = source.count(model)
    restore = dict(source.restore)
    if model.n_components > 1:  # so that clusters can be read without the model
        restore["components"] = model.inputs.weights.tolist()
    length = write_header(file, Header(model.sha256, model.size, items, restore))
    for part in source.parts(model, block_items(model)):
        for block in _pieces(part, MAX_BLOCK // model.size):
            length += write_block(file, model, block, verify=verify, xz=source.last_resort)
        if on_items is not None:
            on_items(len(part))
    return Written(items, items * model.size, length)


def decompress(
    container: Container,
    model: IntegerModel,
    path: Path,
    *,
    on_items: Callable[[int], object] | None = None,
) -> None:
    """Write what a compressed file was made from; it appears when it is complete and verified.

    Args:
        container: the compressed file.
        model: that it was compressed with.
        path: the file, or folder, to write.
        on_items: called with the number of items of each block.

    Raises:
        CompressedFileError: for damage, or another model.
        OSError: where it cannot be written.
    """
    container.check_model(model)
    sink = make_sink(container.header.restore, model)
    if sink.expected() != container.header.items:
        raise CompressedFileError(
            f"{container.name} is damaged: it says {container.header.items} items and needs "
            f"{sink.expected()}"
        )

    def parts() -> Iterator[Pixels]:
        for block in container.blocks:
            yield container.read(block, model)
            if on_items is not None:
                on_items(block.items)

    sink.write(parts(), path)


def encode_array(
    array: NDArray[Any],
    model: IntegerModel,
    *,
    verify: bool = True,
    shape: tuple[int, ...] | None = None,
) -> bytes:
    r"""Images as the bytes of a compressed file.

    Args:
        array: (n, \*event_shape) whole numbers in any dtype, or larger images.
        model: that codes them.
        verify: whether each block is decoded before it is taken.
        shape: that it comes back with; None for its own.

    Raises:
        ValueError: for another shape, or numbers that are not among the levels.

    Example:
        >>> import torch
        >>> from anabranch.coding import freeze
        >>> from anabranch.distributions import LocalContext
        >>> images = np.eye(4, dtype=np.int64)[None]
        >>> model = freeze(LocalContext((4, 4), levels=2, hidden=[8]), torch.as_tensor(images))
        >>> bool((decode_array(encode_array(images, model), model) == images).all())
        True
    """
    file = io.BytesIO()
    further = {} if shape is None else {"as": [int(n) for n in shape]}
    _write(file, ArraySource(array, "array", **further), model, verify, None)
    return file.getvalue()


def decode_array(content: bytes, model: IntegerModel) -> NDArray[Any]:
    """What `encode_array` was given.

    Raises:
        CompressedFileError: for damage, another model, or a file that was made from no array.
    """
    container = Container(io.BytesIO(content))
    container.check_model(model)
    restore = container.header.restore
    dtype, shape = dtype_and_shape(restore)
    if make_sink(restore, model).expected() != container.header.items:
        raise CompressedFileError("the file is damaged: its items are not those of its array")
    parts = [container.read(block, model) for block in container.blocks]
    items = np.concatenate([np.zeros((0, model.size), np.uint8), *parts])
    array = images_of(items, shape[1:], model.event_shape).astype(dtype)
    try:
        return array.reshape(restore.get("as", shape))
    except (TypeError, ValueError) as error:
        raise CompressedFileError(f"the header names no array: {error}") from error


def block_items(model: IntegerModel) -> int:
    """Items of a block."""
    return max(1, min(BLOCK, BLOCK_PIXELS // model.size))


def _pieces(part: Pixels, most: int) -> Iterator[Pixels]:
    """A part that is too large for one block, such as the patches of one large image, in pieces."""
    for first in range(0, len(part), most):
        yield part[first : first + most]
