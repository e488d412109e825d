"""Tables larger than memory: row groups of Parquet files, read one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.data.extras import pandas_module
from anabranch.data.finite import check_finite
from anabranch.data.matching import matching_paths
from anabranch.data.parquet_files import ParquetSource

Array = NDArray[np.float64]
Hashes = NDArray[np.uint64]
StrPath = str | PathLike[str]
# Rows that judge at most: means over so many are known to a hundredth of a standard deviation.
MOST_JUDGES = 50_000
# Of what a fit keeps of a window of rows: two copies, one of them in order, and a group being read.
COPIES = 4


class ParquetRows:
    """The rows of Parquet files, to fit to without holding them in memory.

    What is kept of a row does not depend on its place: which rows judge, and which are sampled to
    begin with, is decided by a hash of the row, and groups are gone through by their contents. So
    the order and the names of the files do not matter.

    Args:
        paths: a file, a folder of files, a pattern such as "dir/*.parquet", or a list of these.
        columns: names of the columns to use; None for all.
        sample_rows: rows that are held, on which starts are searched.
        buffer_mb: MiB for rows to train on, which are shuffled together; at least a few row groups.

    Attributes:
        columns: names.
        groups: (source, number of the row group, rows) of each.

    Raises:
        FileNotFoundError: where there are no files.
        ValueError: for files that are not of Parquet or lack columns, and settings out of range.

    Example:
        >>> import tempfile
        >>> from anabranch.data import write_table
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_table(folder / "a.parquet", {"x": np.arange(3.0), "y": np.zeros(3)})
        >>> rows = ParquetRows(folder, columns=["x"])
        >>> rows.shape, rows.read(0)[:, 0]
        ((3, 1), array([0., 1., 2.]))
    """

    def __init__(
        self,
        paths: StrPath | Sequence[StrPath],
        columns: Sequence[str] | None = None,
        *,
        sample_rows: int = 100_000,
        buffer_mb: float = 256,
    ) -> None:
        if sample_rows < 2:
            raise ValueError(f"sample_rows must be at least 2, got {sample_rows!r}")
        if not buffer_mb > 0:
            raise ValueError(f"buffer_mb must be positive, got {buffer_mb!r}")
        self.sample_rows, self.buffer_mb = sample_rows, buffer_mb
        sources = [ParquetSource(path) for path in _files(paths)]
        self.columns = list(sources[0].columns if columns is None else columns)
        self.groups: list[tuple[ParquetSource, int, int]] = []
        for source in sources:
            if missing := [name for name in self.columns if name not in source.columns]:
                raise ValueError(f"{source.path} lacks columns: {', '.join(missing[:10])}")
            sizes = source.group_sizes()
            self.groups += [(source, group, size) for group, size in enumerate(sizes) if size]
        largest = max(size for _, _, size in self.groups) * len(self.columns) * 8 / 2**20
        if largest > buffer_mb:
            raise ValueError(
                f"buffer_mb must be at least {largest:.0f}, which the largest row group takes, got "
                f"{buffer_mb:g}; or write the files with a smaller row_group_size"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(size for _, _, size in self.groups), len(self.columns)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, group: int) -> Array:
        """The rows of a group, (n, D).

        Raises:
            ValueError: for columns that hold no numbers, or numbers that are not finite.
        """
        source, number, _ = self.groups[group]
        X = source.read_group(number, self.columns)
        try:
            check_finite(X, self.columns)
        except ValueError as error:
            raise ValueError(f"{source.path}: {error}") from error
        return X

    def scan(self, validation_fraction: float) -> "Scan":
        """Go through all rows once: which judge, a sample of the others, and what they are.

        Args:
            validation_fraction: of rows that judge; of many rows fewer do.

        Returns:
            A `Scan`.
        """
        share = min(validation_fraction, MOST_JUDGES / len(self))
        limit = np.uint64(int(share * (2**64 - 1)))
        train, judges = _Lowest(self.sample_rows), _Lowest(MOST_JUDGES)
        sizes, digests = [], []
        for group in range(len(self.groups)):
            X = self.read(group)
            hashes = row_hashes(X)
            judging = hashes < limit
            digests.append(int(hashes.sum(dtype=np.uint64)))
            sizes.append(int((~judging).sum()))
            judges.add(X[judging], hashes[judging])
            train.add(X[~judging], hashes[~judging])
        return Scan(self, limit, np.array(sizes), np.array(digests, np.uint64), train.X, judges.X)


@dataclass(frozen=True)
class Scan:
    """What one pass through rows has found.

    Attributes:
        rows: that were gone through.
        limit: rows with a hash below it judge.
        sizes: of the groups, without these.
        digests: of the contents of groups, all rows of them.
        sample_values: (k, D) rows to train on, those with the lowest hashes.
        judging_values: (v, D) rows that judge.
        order: the groups, by their contents.
    """

    rows: ParquetRows
    limit: np.uint64
    sizes: NDArray[np.int64]
    digests: Hashes
    sample_values: Array = field(repr=False)
    judging_values: Array = field(repr=False)

    @property
    def order(self) -> NDArray[np.int64]:
        """The groups that have rows to train on, by their contents."""
        known = np.lexsort((self.sizes, self.digests))
        return known[self.sizes[known] > 0]

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of the columns, and of the contents of all groups in any order."""
        facts = "|".join([*self.rows.columns, *map(str, sorted(self.digests.tolist()))])
        return sha256(facts.encode()).hexdigest()

    def read(self, group: int) -> Array:
        """The rows of a group that do not judge, (n, D)."""
        X = self.rows.read(group)
        return X[row_hashes(X) >= self.limit]

    @property
    def window(self) -> int:
        """Rows that are shuffled together."""
        row_bytes = 4 * (len(self.rows.columns) + 2) * COPIES
        return max(1, int(self.rows.buffer_mb * 2**20 / row_bytes))

    @property
    def frames(self) -> tuple[Any, Any]:
        """The sample, and the rows that judge, as frames of pandas."""
        frame, names = pandas_module().DataFrame, self.rows.columns
        return frame(self.sample_values, columns=names), frame(self.judging_values, columns=names)


class _Lowest:
    """The rows with the lowest hashes of all that are added, in the order of the hashes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.X = np.empty((0, 0))
        self.hashes = np.empty(0, np.uint64)

    def add(self, X: Array, hashes: Hashes) -> None:
        if len(self.hashes) == self.most:
            low = hashes < self.hashes[-1]
            X, hashes = X[low], hashes[low]
        self.X = np.concatenate([self.X, X]) if self.X.size else X
        self.hashes = np.concatenate([self.hashes, hashes])
        chosen = np.argsort(self.hashes, kind="stable")[: self.most]
        self.X, self.hashes = self.X[chosen], self.hashes[chosen]


def row_hashes(X: Array) -> Hashes:
    """A hash of each row, (n,), that says nothing of its place.

    Rows that repeat are told apart by how often they came before, and by the other rows: of many
    equal ones some judge and some are sampled.

    Example:
        >>> a, b, c = row_hashes(np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]]))
        >>> bool(a != b), bool(a == row_hashes(np.array([[0.0, 1.0]]))[0]), bool(a != c)
        (True, True, True)
    """
    hashes = np.zeros(len(X), np.uint64)
    for column in X.T:
        bits = np.ascontiguousarray(column + 0.0).view(np.uint64)
        hashes = _mixed((hashes ^ bits) + np.uint64(0x9E3779B97F4A7C15))
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    new = np.r_[True, ranked[1:] != ranked[:-1]]
    if new.all():
        return hashes
    place = np.arange(len(ranked))
    before = place - np.maximum.accumulate(np.where(new, place, 0))
    others = hashes.sum(dtype=np.uint64)
    told = _mixed(ranked + others * before.astype(np.uint64))
    hashes[order] = np.where(before > 0, told, ranked)
    return hashes


def _mixed(x: Hashes) -> Hashes:
    """Stafford's thirteenth variant of the last steps of MurmurHash3, which is a bijection."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _files(paths: StrPath | Sequence[StrPath]) -> list[Path]:
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    found = {file for name in given for path in matching_paths(name) for file in _within(path)}
    if not found:
        raise FileNotFoundError(f"there are no Parquet files in {', '.join(map(str, given))}")
    return sorted(found)


def _within(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_"))]
