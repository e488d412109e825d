"""IDX files, the format of MNIST: big-endian arrays behind a short header, often gzipped."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from anabranch.data.formats import check_expansion, damaged_file_errors
from anabranch.data.source import Batch, Source, as_floats, numbered_columns

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_ROW_BYTES = 1 << 28


class IdxSource(Source):
    """Images or rows in an IDX file; labels come from a second file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with damaged_file_errors(path), _open(path) as file:
            self.dtype, self.shape = _read_header(path, file)
        _check_size(path, self.dtype, self.shape)
        self.columns = numbered_columns(int(np.prod(self.shape[1:])))
        self.image_shape = self.shape[1:] if len(self.shape) > 2 else None
        self._labels: NDArray[np.generic] | None = None

    @property
    def holds_labels(self) -> bool:
        """Whether this is a label file: one number a row."""
        return len(self.shape) == 1

    def take_labels(self, labels: "IdxSource") -> None:
        """Use the numbers of a label file as the labels of this one's rows.

        Raises:
            ValueError: If the two have different numbers of rows.
        """
        if labels.shape[0] != self.shape[0]:
            raise ValueError(
                f"{labels.path} holds {labels.shape[0]} labels, "
                f"{self.path} holds {self.shape[0]} rows"
            )
        blocks = list(labels._blocks(labels.shape[0]))
        self._labels, self.has_own_labels = np.concatenate(blocks)[:, 0], True

    def batches(
        self, columns: list[str], label_column: str | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Yield rows as they are decompressed; pixels of one byte become float32."""
        chosen = [int(name[1:]) for name in columns]
        start = 0
        for block in self._blocks(batch_rows):
            floats = block.astype(np.float32) if block.dtype == np.uint8 else as_floats(block)
            X = floats if len(chosen) == block.shape[1] else floats[:, chosen]
            labels = None if self._labels is None else self._labels[start : start + len(block)]
            start += len(block)
            yield Batch(X, labels if label_column is None else block[:, int(label_column[1:])])

    def _blocks(self, batch_rows: int) -> Iterator[NDArray[np.generic]]:
        n, width = self.shape[0], int(np.prod(self.shape[1:]))
        with damaged_file_errors(self.path), _open(self.path) as file:
            _read_header(self.path, file)
            for start in range(0, n, batch_rows):
                rows = min(batch_rows, n - start)
                data = file.read(rows * width * self.dtype.itemsize)
                if len(data) < rows * width * self.dtype.itemsize:
                    raise _size_error(self.path, self.shape, "less")
                block = np.frombuffer(data, self.dtype).reshape(rows, width)
                yield block.astype(self.dtype.newbyteorder("="), copy=False)
            if file.read(1):
                raise _size_error(self.path, self.shape, "more")


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    if path.name.lower().endswith(".gz") and not zipped:
        raise ValueError(f"{path} is not a gzip file")
    return cast("BinaryIO", gzip.open(path)) if zipped else path.open("rb")


def _read_header(path: Path, file: BinaryIO) -> tuple[np.dtype, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise ValueError(f"{path} is not an IDX file: it starts with the bytes {magic.hex(' ')}")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError(f"{path} is truncated in its header")
    return np.dtype(_DTYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(sizes, ">u4"))


def _check_size(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Find a wrong size before reading; that of a gzip file is only known at its end."""
    if 0 in shape:
        raise ValueError(f"{path} holds no rows: its header promises the shape {shape}")
    # Python's integers, which do not overflow.
    row_bytes = dtype.itemsize
    for n in shape[1:]:
        row_bytes *= n
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    promised, actual = 4 + 4 * len(shape) + row_bytes * shape[0], path.stat().st_size
    if row_bytes > _MAX_ROW_BYTES or (not zipped and promised > actual):
        raise _size_error(path, shape, "less")
    if not zipped and promised < actual:
        raise _size_error(path, shape, "more")
    check_expansion(path, promised)


def _size_error(path: Path, shape: tuple[int, ...], what: str) -> ValueError:
    return ValueError(f"{path} holds {what} data than the shape {shape} in its header promises")
