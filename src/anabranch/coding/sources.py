"""What is compressed: arrays, files of images, folders of pictures, and any file as bytes."""

import gzip
import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from anabranch.coding.integer_model import IntegerModel
from anabranch.coding.pixels import Pixels
from anabranch.coding.restoring import described, items_of, patches
from anabranch.data.formats import damaged_file_errors

PICTURES = (".png", ".pgm", ".ppm")
_IDX_BYTES = 0x08


class Source(ABC):
    """Data that are compressed some items at a time, so that memory stays bounded.

    Attributes:
        restore: what tells how the items become the data again, plain JSON values.
        last_resort: whether these are bytes of which the model knows nothing.
    """

    last_resort = False
    restore: dict[str, Any]

    @abstractmethod
    def count(self, model: IntegerModel) -> int:
        """How many items they are.

        Raises:
            ValueError: for a shape that the model cannot code.
        """

    @abstractmethod
    def parts(self, model: IntegerModel, items: int) -> Iterator[Pixels]:
        """The items, at most about so many at a time, (n, size).

        Raises:
            ValueError: for data that the model cannot code.
        """


class ArraySource(Source):
    """An array, or a file that is mapped as one.

    Args:
        array: (n, ...) images.
        kind: "array", "npy" or "npz", and further plain values of how to write it again.
    """

    def __init__(self, array: NDArray[Any], kind: str = "array", **further: Any) -> None:
        if array.ndim < 1:
            raise ValueError("the array must have at least one axis, its images")
        self.array = array
        self.restore = {"kind": kind, **described(array), **further}

    def count(self, model: IntegerModel) -> int:
        """Images times their patches."""
        return len(self.array) * patches(self.array.shape, model.event_shape)

    def parts(self, model: IntegerModel, items: int) -> Iterator[Pixels]:
        """Images in their order."""
        step = max(1, items // patches(self.array.shape, model.event_shape))
        for first in range(0, len(self.array), step):
            yield items_of(model, np.asarray(self.array[first : first + step]))


class IdxSource(Source):
    """Images of bytes in an IDX file, plain or gzipped.

    Raises:
        ValueError: for another file, or numbers of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with damaged_file_errors(path), _opened(path) as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _IDX_BYTES or not start[3]:
                raise ValueError(f"{path} is no IDX file of bytes")
            lengths = file.read(4 * start[3])
            if len(lengths) < 4 * start[3]:
                raise ValueError(f"{path} is truncated")
        self.shape = struct.unpack(f">{start[3]}I", lengths)
        self.restore = {"kind": "idx", "dtype": "|u1", "shape": list(self.shape)}

    def count(self, model: IntegerModel) -> int:
        """Images times their patches."""
        return self.shape[0] * patches(self.shape, model.event_shape)

    def parts(self, model: IntegerModel, items: int) -> Iterator[Pixels]:
        """Images in their order."""
        step = max(1, items // patches(self.shape, model.event_shape))
        size = math.prod(self.shape[1:])
        with damaged_file_errors(self.path), _opened(self.path) as file:
            file.read(4 + 4 * len(self.shape))
            for first in range(0, self.shape[0], step):
                n = min(step, self.shape[0] - first)
                content = file.read(n * size)
                if len(content) < n * size:
                    raise ValueError(f"{self.path} is truncated")
                yield items_of(model, np.frombuffer(content, np.uint8).reshape(n, *self.shape[1:]))
            if file.read(1):
                raise ValueError(f"{self.path} is damaged: there is more behind its images")


class FolderSource(Source):
    """The pictures of a folder, all of one size and mode, grey or RGB.

    Raises:
        ValueError: for none, or pictures of unlike sizes or modes.
        ImportError: where Pillow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        pillow()
        paths = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
        self.paths = sorted(path for path in paths if path.is_file())
        if not self.paths:
            raise ValueError(f"{folder} holds no PNG, PGM or PPM files")
        self.first = _picture(self.paths[0])
        names = [path.name for path in self.paths]
        shape = [len(names), *self.first.shape]
        self.restore = {"kind": "folder", "dtype": "|u1", "shape": shape, "names": names}

    def count(self, model: IntegerModel) -> int:
        """Pictures times their patches."""
        return len(self.paths) * patches((1, *self.first.shape), model.event_shape)

    def parts(self, model: IntegerModel, items: int) -> Iterator[Pixels]:
        """Pictures in the order of their names."""
        step = max(1, items // patches((1, *self.first.shape), model.event_shape))
        for first in range(0, len(self.paths), step):
            pictures = [self._read(path) for path in self.paths[first : first + step]]
            yield items_of(model, np.stack(pictures))

    def _read(self, path: Path) -> Pixels:
        picture = _picture(path)
        if picture.shape != self.first.shape:
            raise ValueError(
                f"{path} has the shape {picture.shape}, {self.paths[0].name} {self.first.shape}: "
                "pictures of one size go into one file"
            )
        return picture


class BytesSource(Source):
    """The bytes of any file, as pixels one after the other; xz takes those that it codes better."""

    last_resort = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restore = {"kind": "bytes", "length": path.stat().st_size}

    def count(self, model: IntegerModel) -> int:
        """As many as the bytes fill, the last one with zeros."""
        return -(-self.restore["length"] // model.size)

    def parts(self, model: IntegerModel, items: int) -> Iterator[Pixels]:
        """The bytes in their order."""
        if model.levels < 256:
            raise ValueError(f"bytes need a model of 256 levels, this one has {model.levels}")
        left = self.restore["length"]
        with self.path.open("rb") as file:
            while left:
                content = file.read(min(items * model.size, left))
                if not content:
                    raise ValueError(f"{self.path} has become shorter while it was read")
                left -= len(content)
                filled = content + bytes(-len(content) % model.size)
                yield np.frombuffer(filled, np.uint8).reshape(-1, model.size)


def open_source(path: Path, *, as_bytes: bool = False) -> Source:
    """What a path holds: NPY, NPZ, IDX, a folder of pictures, or bytes.

    Raises:
        FileNotFoundError: where there is nothing.
        ValueError: for a damaged file, or an NPZ file of several arrays.
    """
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = path.name.lower()
    if as_bytes:
        return BytesSource(path)
    if name.endswith((".npy", ".npz")):
        return _numpy_source(path)
    if name.endswith((".idx", ".idx.gz", "-ubyte", "-ubyte.gz")):
        return IdxSource(path)
    return BytesSource(path)


def _numpy_source(path: Path) -> Source:
    try:
        if path.name.lower().endswith(".npy"):
            return ArraySource(np.load(path, mmap_mode="r", allow_pickle=False), "npy")
        with np.load(path, allow_pickle=False) as archive:
            if len(archive.files) != 1:
                raise ValueError(
                    f"it holds the arrays {', '.join(archive.files)}: one goes into one file"
                )
            name = archive.files[0]
            return ArraySource(archive[name], "npz", name=name)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a NumPy file: {error}") from error


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path)) if zipped else path.open("rb")


def pillow() -> Any:
    """The module PIL.Image.

    Raises:
        ImportError: says how to install it.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ImportError('pictures need Pillow: pip install "anabranch[compress]"') from error
    return Image


def _picture(path: Path) -> Pixels:
    try:
        with pillow().open(path) as image:
            if image.mode not in ("L", "RGB"):
                raise ValueError(f"its mode is {image.mode}, and L and RGB can be compressed")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
