"""NumPy's .npy and .npz files."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from anabranch.data.exact import check_exact
from anabranch.data.formats import check_expansion
from anabranch.data.source import Batch, Source, as_floats, numbered_columns


class ArraySource(Source):
    """An array in memory or mapped from disk, with labels beside it or without."""

    def __init__(
        self, path: Path, array: NDArray[np.generic], labels: NDArray[np.generic] | None = None
    ) -> None:
        _check_array(path, array)
        if labels is not None and labels.shape != array.shape[:1]:
            raise ValueError(
                f"{path}: y has shape {labels.shape}, expected ({len(array)},) as X has rows"
            )
        self.path = path
        self.columns = numbered_columns(math.prod(array.shape[1:]))
        self.image_shape = array.shape[1:] if array.ndim > 2 else None
        self.has_own_labels = labels is not None
        self._array, self._labels = array, labels

    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield slices of the array; only they are read from a mapped file."""
        chosen = [int(name[1:]) for name in columns]
        for start in range(0, len(self._array), batch_rows):
            rows = slice(start, start + batch_rows)
            block = np.asarray(self._array[rows])
            block = block.reshape(len(block), -1)
            # Indexing copies, so that a batch does not keep the file mapped.
            X = as_floats(check_exact(block[:, chosen], columns, f"{self.path}: "))
            if label_column is not None:
                yield Batch(X, block[:, int(label_column[1:])])
            else:
                yield Batch(X, None if self._labels is None else self._labels[rows])


def open_npy(path: Path) -> ArraySource:
    """Map a .npy file; its array has the shape (rows, columns) or (rows, *image).

    Raises:
        ValueError: If it is no complete .npy file of numbers with at least one row.
    """
    with _foreign_errors(path, ".npy"):
        with path.open("rb") as file:
            _check_header(path, file, path.stat().st_size)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return ArraySource(path, array)


def open_npz(path: Path) -> ArraySource:
    """Load a .npz file: the array `X` or `x`, or the only one; `y` holds labels if it is there.

    Raises:
        ValueError: If it is no complete .npz file of numbers, it is not clear which array is
            meant, or it expands to hundreds of times its size.
    """
    with _foreign_errors(path, ".npz"), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        choice = [name for name in ("X.npy", "x.npy") if name in names]
        choice = choice or [name for name in names if name != "y.npy"]
        if len(choice) != 1:
            found = ", ".join(repr(name.removesuffix(".npy")) for name in names) or "none"
            raise ValueError(f"{path} holds the arrays {found}, expected 'X', or a single one")
        labels = _member(path, archive, "y.npy") if "y.npy" in names else None
        array = _member(path, archive, choice[0])
    return ArraySource(path, array, labels)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    size = archive.getinfo(name).file_size
    check_expansion(path, size)
    with archive.open(name) as file:
        _check_header(path, file, size)
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_header(path: Path, file: IO[bytes], size: int) -> None:
    """Refuse pickled objects, and shapes beyond the bytes that are there, before memory is taken.

    NumPy calculates the size of an array in integers that overflow.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format
    header = read.read_array_header_1_0 if version == (1, 0) else read.read_array_header_2_0
    shape, _, dtype = header(file)
    if dtype.hasobject:
        raise ValueError(f"{path} holds pickled Python objects, which are never loaded")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size - file.tell():
        raise ValueError(
            f"{path} is truncated or damaged: it holds less data than the shape {shape} in its "
            "header promises"
        )


@contextmanager
def _foreign_errors(path: Path, kind: str) -> Iterator[None]:
    """NumPy and zipfile answer damaged, forged and encrypted files by errors of a dozen kinds."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if str(path) in str(error):  # in our own words
            raise
        raise ValueError(
            f"{path} is not a NumPy {kind} file, or it is damaged or of a kind that cannot be "
            f"read: {error}"
        ) from error


def _check_array(path: Path, array: NDArray[np.generic]) -> None:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds an array of {array.dtype}, expected real numbers")
    if array.ndim < 2:
        raise ValueError(
            f"{path} holds an array of shape {array.shape}, expected (rows, columns); "
            "a single column needs the shape (rows, 1)"
        )
    if array.size == 0:
        raise ValueError(f"{path} holds no rows: its array has the shape {array.shape}")
