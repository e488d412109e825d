"""NumPy's .npy and .npz files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anabranch.data.formats import damaged_file_errors
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
        self.columns = numbered_columns(int(np.prod(array.shape[1:])))
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
            X = as_floats(block[:, chosen])
            if label_column is not None:
                yield Batch(X, block[:, int(label_column[1:])])
            else:
                yield Batch(X, None if self._labels is None else self._labels[rows])


def open_npy(path: Path) -> ArraySource:
    """Map a .npy file; its array has the shape (rows, columns) or (rows, *image).

    Raises:
        ValueError: If it is no complete .npy file of numbers with at least one row.
    """
    _check_npy_header(path)
    try:
        return ArraySource(path, np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is truncated or damaged: {error}") from error


def open_npz(path: Path) -> ArraySource:
    """Load a .npz file: the array `X` or `x`, or the only one; `y` holds labels if it is there.

    Raises:
        ValueError: If it is no complete .npz file of numbers, or it is not clear which array is
            meant.
    """
    with damaged_file_errors(path):
        arrays = _npz_arrays(path)
    labels = arrays.pop("y", None)
    names = [name for name in ("X", "x") if name in arrays] or list(arrays)
    if len(names) != 1:
        found = ", ".join(map(repr, arrays)) or "none"
        raise ValueError(f"{path} holds the arrays {found}, expected 'X', or a single one")
    return ArraySource(path, arrays[names[0]], labels)


def _npz_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, TypeError, AttributeError) as error:
        if "Object arrays" in str(error):
            raise _object_array(path) from None
        raise ValueError(f"{path} is not a NumPy .npz file, or it is damaged: {error}") from error


def _check_npy_header(path: Path) -> None:
    """Refuse foreign files and pickled objects before anything is mapped."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            one = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if one else _read_header_2_0
            dtype = read(file)[2]
    except ValueError as error:
        raise ValueError(f"{path} is not a NumPy .npy file, or it is damaged: {error}") from error
    if dtype.hasobject:
        raise _object_array(path)


def _object_array(path: Path) -> ValueError:
    return ValueError(f"{path} holds pickled Python objects, which are never loaded")


_read_header_2_0 = np.lib.format.read_array_header_2_0


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
