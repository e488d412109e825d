"""Rows on disk as batches of the loop: groups in a random order, shuffled within windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from anabranch.training.batches import Batches, BatchSource, Data, number_of_rows
from anabranch.training.parallel import ProcessGroup, local_rows
from anabranch.training.tensors import whole_number


@dataclass(frozen=True)
class RowStream:
    """Rows in groups that are read again in each epoch.

    Attributes:
        sizes: rows of each group, all positive.
        read: the rows of a group by its number, always the same.
        window: rows that are held and shuffled together, at most; at least a batch.
        fingerprint: what tells these rows from others.
        device: where they are read to.
    """

    sizes: Sequence[int]
    read: Callable[[int], Data]
    window: int
    fingerprint: str
    device: str = "cpu"

    @property
    def n_rows(self) -> int:
        """Of all groups."""
        return sum(self.sizes)


class StreamedBatches(BatchSource):
    """The batches of a `RowStream`, of which a window of rows is held at a time.

    An epoch lays the groups end to end in a random order, and cuts them into windows of whole
    batches; each window is shuffled by a seed of its own. So where an epoch goes on is told by the
    order of the groups and a seed, and only the groups of the present window are read again. A last
    partial batch is left out.

    Args:
        stream: the rows.
        size: rows of a batch, over all processes.
        group: which process this is; each reads all rows, and takes its share of every batch.

    Example:
        >>> read = lambda group: {"x": torch.arange(3) + 3 * group}
        >>> batches = StreamedBatches(RowStream([3, 3, 3], read, 4, "abc"), 2)
        >>> batches.begin(Generator().manual_seed(0))
        >>> taken = []
        >>> while batches.left:
        ...     taken += batches.take()["x"].tolist()
        >>> len(taken), len(set(taken))
        (8, 8)
    """

    def __init__(self, stream: RowStream, size: int, group: ProcessGroup | None = None) -> None:
        self.stream, self.size, self.group = stream, size, group or ProcessGroup()
        self.n_rows, self.data = stream.n_rows, {}
        self.in_window = max(1, stream.window // size)
        self._window: tuple[int, Data] | None = None
        self._group: tuple[int, Data] | None = None

    def begin(self, generator: Generator, rows: Tensor | None = None) -> None:
        """Draw the order of the groups, and the seed of the shuffling."""
        if rows is not None:
            raise ValueError("rows on disk are gone through as a whole")
        seed = torch.randint(2**62, (1,), generator=generator)
        self.order = torch.cat([torch.randperm(len(self.stream.sizes), generator=generator), seed])

    @property
    def left(self) -> bool:
        """Whether the epoch has a batch that was not taken."""
        return self.order is not None and self.taken < self.n_rows // self.size

    def take(self) -> Data:
        """The next batch."""
        number, place = divmod(self.taken, self.in_window)
        if self._window is None or self._window[0] != number:
            self._window = None  # before the next one takes memory
            self._window = number, self._read_window(number)
        rows = local_rows(place * self.size, self.size, self.group)
        self.taken += 1
        return {name: tensor[rows] for name, tensor in self._window[1].items()}

    def restore(self, order: Tensor | None, taken: int, *, whole: bool) -> None:
        """Go on within an epoch that was begun before.

        Raises:
            ValueError: for what is no order of these groups, or more batches than there are.
        """
        known = 0 <= whole_number(taken) <= self.n_rows // self.size
        if order is not None:
            groups = torch.arange(len(self.stream.sizes))
            known = known and order.dtype == torch.int64 and order.shape == (len(groups) + 1,)
            known = known and torch.equal(order[:-1].sort().values, groups)
            known = known and 0 <= int(order[-1]) < 2**62
        if not known:
            raise ValueError(f"order and taken are no epoch of {len(self.stream.sizes)} groups")
        self.order, self.taken, self._window = order, taken, None

    def end(self) -> None:
        """Forget the order of the epoch, and its rows."""
        self.order, self.taken, self._window, self._group = None, 0, None, None

    def fingerprint(self) -> str:
        """What tells these rows from others."""
        return f"{self.stream.fingerprint}|{self.in_window}"

    def _read_window(self, number: int) -> Data:
        """The rows of a window, shuffled."""
        assert self.order is not None, "take comes after begin"
        width = self.in_window * self.size
        start, stop = number * width, min((number + 1) * width, self.n_rows)
        parts, first = [], 0
        for group in self.order[:-1].tolist():
            last = first + self.stream.sizes[group]
            if first < stop and last > start:
                data, cut = self._read_group(group), slice(max(start - first, 0), stop - first)
                parts.append({name: tensor[cut] for name, tensor in data.items()})
            first = last
        seed = (int(self.order[-1]) + number) % 2**62
        mixed = torch.randperm(stop - start, generator=Generator().manual_seed(seed))
        names = list(parts[0])
        return {
            name: torch.cat([part.pop(name) for part in parts])[mixed.to(self.stream.device)]
            for name in names
        }

    def _read_group(self, group: int) -> Data:
        """The rows of a group; the last one, which the next window may share, is kept."""
        if self._group is None or self._group[0] != group:
            self._group = None
            self._group = group, self.stream.read(group)
        return self._group[1]


def rows_of(data: Data | RowStream) -> int:
    """How many rows there are, held or not."""
    return data.n_rows if isinstance(data, RowStream) else number_of_rows(data)


def batches_of(data: Data | RowStream, size: int, group: ProcessGroup) -> BatchSource:
    """The batches of rows, held or not."""
    return (StreamedBatches if isinstance(data, RowStream) else Batches)(data, size, group)  # pyright: ignore[reportArgumentType]


def device_of(data: Data | RowStream) -> torch.device:
    """Where the rows are."""
    if isinstance(data, RowStream):
        return torch.device(data.device)
    return next(iter(data.values())).device
