"""Rows dealt out to piles in a temporary file, each pile a random sample of all rows."""

import os
import shutil
import tempfile
import weakref

import numpy as np
from numpy.typing import NDArray

from anabranch.data.row_hashes import Hashes, mixed, row_hashes

Array = NDArray[np.float64]
# So that the pile of a row says nothing of whether it judges, which its hash decides, too.
_SALT = np.uint64(0xD1B54A32D192ED03)


class DealtRows:
    """Rows in a temporary file, dealt to piles by their hashes.

    Whatever the order in which rows came, each pile is a random sample of them; and what is in it
    does not depend on that order. The file has no name: it is gone when the process is, however
    that ends. It is made in the folder that TMPDIR names, or in ``/var/tmp``, which is on a disk
    where ``/tmp`` may be in memory.

    Args:
        n_rows: that will come at most.
        width: numbers of a row.
        n_piles: that they are dealt to.

    Raises:
        OSError: where there is no room for them.

    Example:
        >>> dealt = DealtRows(4, 1, 2)
        >>> dealt.add(np.arange(4.0)[:, None], row_hashes(np.arange(4.0)[:, None]))
        >>> sorted(np.concatenate([dealt.read(0), dealt.read(1)])[:, 0].tolist())
        [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, n_rows: int, width: int, n_piles: int) -> None:
        folder, needed = _folder(), n_rows * width * 8
        if shutil.disk_usage(folder).free < needed:
            raise OSError(
                f"{folder} has no room for a temporary copy of {needed / 2**20:.0f} MiB of rows: "
                "let TMPDIR name a folder that has"
            )
        self.width, self.n_piles = width, n_piles
        self.sizes = np.zeros(n_piles, np.int64)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._starts: list[NDArray[np.int64]] = []  # of each deal: of its piles, and its end

    def add(self, rows: Array, hashes: Hashes) -> None:
        """Deal rows, (n, width), with their hashes."""
        if not len(rows):
            return
        piles = (mixed(hashes ^ _SALT) % np.uint64(self.n_piles)).astype(np.int64)
        counts = np.bincount(piles, minlength=self.n_piles)
        self._starts.append(self.sizes.sum() + np.concatenate([[0], np.cumsum(counts)]))
        self.sizes += counts
        np.ascontiguousarray(rows[np.argsort(piles, kind="stable")]).tofile(self._file)

    def read(self, pile: int) -> Array:
        """The rows of a pile, in the order of their hashes."""
        parts = []
        for starts in self._starts:
            first, last = starts[pile], starts[pile + 1]
            if last > first:
                self._file.seek(int(first) * self.width * 8)
                parts.append(np.fromfile(self._file, count=int(last - first) * self.width))
        rows = np.concatenate(parts).reshape(-1, self.width)
        return rows[np.argsort(row_hashes(rows), kind="stable")]


def _folder() -> str:
    named = os.environ.get("TMPDIR")
    return named or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir())
