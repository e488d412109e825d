"""What is decompressed: the files that a compressed one was made from."""

import gzip
import io
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, BinaryIO, cast

import numpy as np

from anabranch.coding.container import CompressedFileError
from anabranch.coding.integer_model import IntegerModel
from anabranch.coding.pixels import Pixels
from anabranch.coding.restoring import dtype_and_shape, images_of, patches
from anabranch.coding.sources import PICTURES, pillow
from anabranch.data.atomic import atomic_write


class Sink(ABC):
    """Takes items in their order, and writes what they were.

    Args:
        restore: what the source has left in the header.
        model: the model.
    """

    def __init__(self, restore: Mapping[str, Any], model: IntegerModel) -> None:
        self.restore, self.model = restore, model

    @abstractmethod
    def expected(self) -> int:
        """How many items it takes.

        Raises:
            CompressedFileError: where the header makes no sense.
        """

    @abstractmethod
    def write(self, parts: Iterator[Pixels], path: Path) -> None:
        """Write all items to a path, which appears when all of them are written.

        Raises:
            OSError: where it cannot be written.
        """


class _ImagesSink(Sink):
    """Images of an array."""

    def __init__(self, restore: Mapping[str, Any], model: IntegerModel) -> None:
        super().__init__(restore, model)
        self.dtype, self.shape = dtype_and_shape(restore)

    def expected(self) -> int:
        """Images times their patches."""
        try:
            return self.shape[0] * patches(self.shape, self.model.event_shape)
        except ValueError as error:
            raise CompressedFileError(f"the header does not go with the model: {error}") from error

    def images(self, parts: Iterator[Pixels]) -> Iterator[np.ndarray]:
        """The images as they were, some at a time."""
        each = patches(self.shape, self.model.event_shape)
        left = np.zeros((0, self.model.size), np.uint8)
        for part in parts:
            left = np.concatenate([left, part])
            whole = len(left) // each * each
            yield images_of(left[:whole], self.shape[1:], self.model.event_shape).astype(self.dtype)
            left = left[whole:]


class ArraySink(_ImagesSink):
    """A NumPy file."""

    def write(self, parts: Iterator[Pixels], path: Path) -> None:
        """Write the header, then images as they come."""
        with atomic_write(path) as file:
            if self.restore["kind"] != "npz":
                self._write_array(parts, file)
                return
            name = str(self.restore.get("name", "X"))
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
                archive.open(f"{name}.npy", "w", force_zip64=True) as member,
            ):
                self._write_array(parts, cast("BinaryIO", member))

    def _write_array(self, parts: Iterator[Pixels], file: BinaryIO) -> None:
        head = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, head)
        file.write(buffer.getvalue())
        for images in self.images(parts):
            file.write(np.ascontiguousarray(images).tobytes())


class IdxSink(_ImagesSink):
    """An IDX file, gzipped where its name ends in .gz."""

    def write(self, parts: Iterator[Pixels], path: Path) -> None:
        """Write the header, then images as they come."""
        with atomic_write(path) as file:
            if not path.name.lower().endswith(".gz"):
                self._write(parts, file)
                return
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as zipped:
                self._write(parts, cast("BinaryIO", zipped))

    def _write(self, parts: Iterator[Pixels], file: BinaryIO) -> None:
        axes = len(self.shape)
        file.write(struct.pack(f">HBB{axes}I", 0, 8, axes, *self.shape))
        for images in self.images(parts):
            file.write(np.ascontiguousarray(images).tobytes())


class FolderSink(_ImagesSink):
    """A folder of pictures, which appears when it is complete."""

    def expected(self) -> int:
        """Pictures times their patches, where each has a name of its own."""
        names = self.restore.get("names")
        if not isinstance(names, list) or len(names) != self.shape[0]:
            raise CompressedFileError("the header has no name for each picture")
        for name in names:
            plain = isinstance(name, str) and PurePath(name).name == name and "\\" not in name
            if not plain or PurePath(name).suffix.lower() not in PICTURES:
                raise CompressedFileError(f"the header names a picture {name!r}")
        if len(set(names)) < len(names):
            raise CompressedFileError("the header names a picture twice")
        return super().expected()

    def write(self, parts: Iterator[Pixels], path: Path) -> None:
        """Write pictures as they come.

        Raises:
            FileExistsError: where there is something of that name.
        """
        image, names = pillow(), iter(self.restore["names"])
        with _new_folder(path) as folder:
            for images in self.images(parts):
                for picture, name in zip(images, names, strict=False):
                    image.fromarray(np.ascontiguousarray(picture)).save(folder / name)


class BytesSink(Sink):
    """Any file."""

    def expected(self) -> int:
        """As many as the bytes fill."""
        length = self.restore.get("length")
        if not isinstance(length, int) or length < 0:
            raise CompressedFileError("the header says no length")
        return -(-length // self.model.size)

    def write(self, parts: Iterator[Pixels], path: Path) -> None:
        """Write bytes as they come, without those that filled the last item."""
        left = self.restore["length"]
        with atomic_write(path) as file:
            for part in parts:
                left -= file.write(part.tobytes()[:left])


SINKS: dict[str, type[Sink]] = {
    "array": ArraySink,
    "npy": ArraySink,
    "npz": ArraySink,
    "idx": IdxSink,
    "folder": FolderSink,
    "bytes": BytesSink,
}


def make_sink(restore: Mapping[str, Any], model: IntegerModel) -> Sink:
    """What restores the data of a header.

    Raises:
        CompressedFileError: for a header that makes no sense.
    """
    kind = restore.get("kind")
    if not isinstance(kind, str) or kind not in SINKS:
        raise CompressedFileError(
            f"the header says the kind {kind!r}, known are {', '.join(SINKS)}"
        )
    return SINKS[kind](restore, model)


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists already; pictures go into a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.replace(path)
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise
