"""Tables larger than memory: Parquet files, gone through once and dealt out to a temporary copy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data.dealt_rows import DealtRows
from anabranch.data.extras import pandas_module
from anabranch.data.finite import check_finite
from anabranch.data.labels import encode_labels, label_names_of
from anabranch.data.matching import matching_paths
from anabranch.data.parquet_files import ParquetSource
from anabranch.data.row_hashes import Hashes, mixed, row_hashes

Array = NDArray[np.float64]
StrPath = str | PathLike[str]
# Rows that judge at most: means over so many are known to a hundredth of a standard deviation.
MOST_JUDGES = 50_000
# Of what a fit keeps of a window of rows: two copies, one of them in order, and a pile being read.
COPIES = 4
# Piles of a window: so many are shuffled together, and others in each epoch.
PILES = 8


class RowParts(NamedTuple):
    """What is known of some rows.

    Attributes:
        X: (n, D) their columns.
        context: (n, C) what a conditional density depends on, or None.
        weights: (n,) positive numbers, what each row counts, or None for one.
        labels: (n,) numbers of classes, -1 where unknown, or None.
    """

    X: Array
    context: Array | None = None
    weights: Array | None = None
    labels: NDArray[np.int64] | None = None


class ParquetRows:
    """The rows of Parquet files, to fit to without holding them in memory.

    A fit goes through the files once, and deals their rows out to a temporary copy on disk, in the
    folder that TMPDIR names or ``/var/tmp``; epochs read that. What becomes of a row, whether it
    judges or is sampled and which others it is shuffled with, is decided by a hash of the row. So
    neither the order and the names of the files matter, nor that rows are sorted in them.

    Args:
        paths: a file, a folder of files, a pattern such as "dir/*.parquet", or a list of these.
        columns: names of the columns to use; None for all that are not named below.
        label: name of a column of labels, text or integers, missing or -1 where unknown.
        weight: name of a column of what each row counts; rows that count 0 are left out.
        context: names of the columns that a conditional density depends on.
        sample_rows: rows that are held, on which starts are searched.
        buffer_mb: MiB for rows to train on, which are shuffled together.

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
        >>> write_table(folder / "a.parquet", {"x": np.arange(3.0), "y": np.array([1, -1, 0])})
        >>> rows = ParquetRows(folder, label="y")
        >>> rows.shape, [part.labels.tolist() for part in rows.chunks()]
        ((3, 1), [[1, -1, 0]])
    """

    def __init__(
        self,
        paths: StrPath | Sequence[StrPath],
        columns: Sequence[str] | None = None,
        *,
        label: str | None = None,
        weight: str | None = None,
        context: Sequence[str] | None = None,
        sample_rows: int = 100_000,
        buffer_mb: float = 256,
    ) -> None:
        if sample_rows < 2:
            raise ValueError(f"sample_rows must be at least 2, got {sample_rows!r}")
        if not buffer_mb > 0:
            raise ValueError(f"buffer_mb must be positive, got {buffer_mb!r}")
        self.sample_rows, self.buffer_mb = sample_rows, buffer_mb
        self.label, self.weight, self.context = label, weight, list(context or [])
        sources = [ParquetSource(path) for path in _files(paths)]
        beside = {*self.context, *([label] if label else []), *([weight] if weight else [])}
        own = [name for name in sources[0].columns if name not in beside]
        self.columns = own if columns is None else list(columns)
        if both := [name for name in self.columns if name in beside]:
            raise ValueError(f"{both[0]!r} is a column to use, and named as something else")
        if not self.columns:
            raise ValueError(f"{sources[0].path} has no columns but {', '.join(sorted(beside))}")
        self.groups: list[tuple[ParquetSource, int, int]] = []
        for source in sources:
            wanted = [*self.columns, *sorted(beside)]
            if missing := [name for name in wanted if name not in source.columns]:
                raise ValueError(f"{source.path} lacks columns: {', '.join(missing[:10])}")
            sizes = source.group_sizes()
            self.groups += [(source, group, size) for group, size in enumerate(sizes) if size]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(size for _, _, size in self.groups), len(self.columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def numbers(self) -> list[str]:
        """The names of all columns of numbers: to use, of the context, and of weights."""
        return [*self.columns, *self.context, *([self.weight] if self.weight else [])]

    def chunks(self, names: list[str] | None = None) -> Iterator[RowParts]:
        """All rows, some thousands at a time, never of two row groups.

        Args:
            names: the text of labels 0, 1, ...; None where labels are integers.

        Raises:
            ValueError: for columns that hold no numbers, numbers that are not finite, weights below
                zero, and labels that are neither known nor missing.
        """
        for source, group, _ in self.groups:
            for batch in source.group_batches(group, self.numbers, self.label):
                try:
                    check_finite(batch.X, self.numbers)
                    labels = None if batch.labels is None else encode_labels(batch.labels, names)
                    yield self.parts(np.asarray(batch.X, np.float64), labels)
                except ValueError as error:
                    raise ValueError(f"{source.path}: {error}") from error

    def parts(self, numbers: Array, labels: NDArray[np.int64] | None) -> RowParts:
        """What the columns of numbers are, without the rows that count nothing."""
        D, C = len(self.columns), len(self.context)
        weights = numbers[:, D + C] if self.weight else None
        if weights is not None:
            if (weights < 0).any():
                raise ValueError(
                    f"{self.weight!r} must be weights not below zero, got {weights.min():g}"
                )
            counts = weights > 0
            numbers, weights = numbers[counts], weights[counts]
            labels = None if labels is None else labels[counts]
        context = numbers[:, D : D + C] if C else None
        return RowParts(numbers[:, :D], context, weights, labels)

    def known_labels(self) -> "KnownLabels":
        """Go through the column of labels once.

        Raises:
            ValueError: for labels that are neither text nor integers.
        """
        if self.label is None:
            return KnownLabels(None, np.empty(0, np.int64), False)
        names = label_names_of(self._labels())
        found, complete = np.empty(0, np.int64), True
        for values in self._labels():
            codes = np.unique(encode_labels(values, names))
            complete = complete and bool(codes[0] >= 0)
            found = np.union1d(found, codes[codes >= 0])
        return KnownLabels(names, found, complete)

    def _labels(self) -> Iterator[Any]:
        for source, group, _ in self.groups:
            for batch in source.group_batches(group, [], self.label):
                yield batch.labels

    def scan(self, validation_fraction: float) -> "Scan":
        """Go through all rows once: which judge, a sample of the others, and a copy of these.

        Rows with labels judge only where all rows have labels.

        Args:
            validation_fraction: of rows that judge; of many rows fewer do.

        Returns:
            A `Scan`.

        Raises:
            OSError: where there is no room for the copy.
        """
        labels = self.known_labels()
        share = min(validation_fraction, MOST_JUDGES / len(self))
        limit = np.uint64(int(share * (2**64 - 1)))
        train, judges = _Lowest(self.sample_rows), _Lowest(MOST_JUDGES)
        window = self._window(len(labels.classes))
        n_piles = max(1, -(-PILES * len(self) // window))
        width = len(self.numbers) + bool(self.label)
        dealing = _Dealing(DealtRows(len(self), width, n_piles), window * width * 8 // COPIES)
        found = np.zeros(2, np.uint64)  # sums, which no order changes
        for parts in self.chunks(labels.names):
            records = joined(parts)
            hashes = row_hashes(records)
            judging = hashes < limit
            if parts.labels is not None and not labels.complete:
                judging &= parts.labels < 0
            found += [hashes.sum(dtype=np.uint64), mixed(hashes).sum(dtype=np.uint64)]
            judges.add(records[judging], hashes[judging])
            train.add(records[~judging], hashes[~judging])
            dealing.add(records[~judging], hashes[~judging])
        dealing.finish()
        facts = "|".join([*self.numbers, str(n_piles), *map(str, found.tolist())])
        digest = sha256(facts.encode()).hexdigest()
        sample, judging = self.split(train.X), self.split(judges.X)
        return Scan(self, labels, sample, judging, dealing.dealt, window, digest)

    def split(self, records: Array) -> RowParts:
        """What records of rows say, as `joined` has made them."""
        if not records.size:
            return RowParts(np.empty((0, len(self.columns))))
        labels = records[:, -1].astype(np.int64) if self.label else None
        return self.parts(records[:, : len(self.numbers)], labels)

    def _window(self, n_classes: int) -> int:
        """Rows that are shuffled together."""
        row_bytes = 4 * (len(self.numbers) + 2 + n_classes) * COPIES
        return max(1, int(self.buffer_mb * 2**20 / row_bytes))


@dataclass(frozen=True)
class KnownLabels:
    """The labels of a column.

    Attributes:
        names: the text of labels 0, 1, ...; None where labels are integers.
        classes: (k,) the numbers of those that there are, ascending.
        complete: whether all rows have one.
    """

    names: list[str] | None
    classes: NDArray[np.int64]
    complete: bool

    @property
    def values(self) -> NDArray[np.int64] | NDArray[np.object_] | None:
        """The classes as they are called; None where there are none."""
        if not len(self.classes):
            return None
        return self.classes if self.names is None else np.array(self.names, dtype=object)


@dataclass(frozen=True)
class Scan:
    """What one pass through rows has found.

    Attributes:
        rows: that were gone through.
        labels: that they have.
        sample: k rows to train on, those with the lowest hashes.
        judging: v rows that judge.
        dealt: all rows to train on.
        window: rows that are shuffled together.
        fingerprint: a SHA-256 of the columns, and of all rows in any order.
    """

    rows: ParquetRows
    labels: KnownLabels
    sample: RowParts = field(repr=False)
    judging: RowParts = field(repr=False)
    dealt: DealtRows
    window: int
    fingerprint: str

    @property
    def piles(self) -> NDArray[np.int64]:
        """The numbers of the piles that have rows."""
        return np.flatnonzero(self.dealt.sizes)

    def read(self, pile: int) -> RowParts:
        """The rows of a pile."""
        return self.rows.split(self.dealt.read(pile))

    @property
    def frames(self) -> tuple[Any, Any]:
        """The sample, and the rows that judge, as frames of pandas."""
        frame, names = pandas_module().DataFrame, self.rows.columns
        return frame(self.sample.X, columns=names), frame(self.judging.X, columns=names)

    @property
    def contexts(self) -> tuple[Any, Any]:
        """Their contexts, likewise; None where there is none."""
        frame, names = pandas_module().DataFrame, self.rows.context
        if not names:
            return None, None
        sample, judging = self.sample.context, self.judging.context
        return frame(sample, columns=names), frame(judging, columns=names)


def joined(parts: RowParts) -> Array:
    """What is known of rows in one table, (n, width).

    Example:
        >>> joined(RowParts(np.zeros((1, 2)), weights=np.ones(1), labels=np.array([3])))
        array([[0., 0., 1., 3.]])
    """
    beside = (parts.context, parts.weights, parts.labels)
    whole = np.column_stack([parts.X, *(part for part in beside if part is not None)])
    return whole.astype(np.float64, copy=False)


class _Dealing:
    """Deals many rows at once: a pile is then read in few places."""

    def __init__(self, dealt: DealtRows, most_bytes: int) -> None:
        self.dealt, self.most = dealt, most_bytes
        self._kept: list[tuple[Array, Hashes]] = []
        self._bytes = 0

    def add(self, records: Array, hashes: Hashes) -> None:
        self._kept.append((records, hashes))
        self._bytes += records.nbytes
        if self._bytes > self.most:
            self.finish()

    def finish(self) -> None:
        """Deal what is left."""
        if self._kept:
            records, hashes = (np.concatenate(each) for each in zip(*self._kept, strict=True))
            self.dealt.add(records, hashes)
        self._kept, self._bytes = [], 0


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
