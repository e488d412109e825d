"""Rows in their random order, cut into batches."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from anabranch.archive import fingerprint
from anabranch.training.parallel import ProcessGroup, local_rows
from anabranch.training.tensors import whole_number

Data = dict[str, Tensor]


class BatchSource(ABC):
    """Where the batches of the loop come from, one epoch after the other.

    Attributes:
        n_rows: of an epoch.
        size: rows of a batch, over all processes.
        group: which process this is.
        order: what says the order of the present epoch; None between epochs.
        taken: batches of the present epoch that were taken.
        data: tensors that may be rewritten in place between epochs; none where rows are not held.
    """

    n_rows: int
    size: int
    group: ProcessGroup
    order: Tensor | None = None
    taken: int = 0
    data: Data

    @abstractmethod
    def begin(self, generator: torch.Generator, rows: Tensor | None = None) -> None:
        """Draw the order of an epoch, through all rows or through those with these numbers."""

    @property
    @abstractmethod
    def left(self) -> bool:
        """Whether the epoch has a batch that was not taken."""

    @abstractmethod
    def take(self) -> Data:
        """The next batch; of several processes, the share of this one."""

    @abstractmethod
    def restore(self, order: Tensor | None, taken: int, *, whole: bool) -> None:
        """Go on within an epoch that was begun before."""

    @abstractmethod
    def end(self) -> None:
        """Forget the order of the epoch."""

    @abstractmethod
    def fingerprint(self) -> str:
        """What tells these rows from others."""


class Batches(BatchSource):
    """The batches of one epoch after the other; those of this process, where there are several.

    The rows of an epoch are gathered once and then sliced. A last partial batch is left out, so
    that shapes stay fixed.

    Args:
        data: tensors with equal first dimensions.
        size: rows of a batch, over all processes.
        group: which process this is.

    Attributes:
        order: row numbers of the present epoch; None between epochs.
        taken: batches of the present epoch that were taken.

    Example:
        >>> batches = Batches({"x": torch.arange(5)}, 2)
        >>> batches.begin(torch.Generator().manual_seed(0))
        >>> taken = []
        >>> while batches.left:
        ...     taken.append(len(batches.take()["x"]))
        >>> taken
        [2, 2]
    """

    def __init__(self, data: Data, size: int, group: ProcessGroup | None = None) -> None:
        self.data, self.n_rows = data, number_of_rows(data)
        self.size, self.group = size, group or ProcessGroup()
        self.order: Tensor | None = None
        self.taken = 0
        self._shuffled: Data | None = None

    def begin(self, generator: torch.Generator, rows: Tensor | None = None) -> None:
        """Draw the order of an epoch, through all rows or through those with these numbers."""
        n_rows = self.n_rows if rows is None else len(rows)
        order = torch.randperm(n_rows, generator=generator)
        self.order = order if rows is None else _filled(rows.to(order.device)[order], self.size)

    @property
    def left(self) -> bool:
        """Whether the epoch has a batch that was not taken."""
        return self.order is not None and self.taken < len(self.order) // self.size

    def take(self) -> Data:
        """The next batch."""
        if self._shuffled is None:
            assert self.order is not None, "take comes after begin"
            self._shuffled = {k: v[self.order.to(v.device)] for k, v in self.data.items()}
        rows = local_rows(self.taken * self.size, self.size, self.group)
        self.taken += 1
        return {name: tensor[rows] for name, tensor in self._shuffled.items()}

    def restore(self, order: Tensor | None, taken: int, *, whole: bool) -> None:
        """Go on within an epoch that was begun before.

        Args:
            order: of its rows; None between epochs.
            taken: batches of it that were taken.
            whole: whether it goes through all rows, each once.

        Raises:
            ValueError: for what is no such order, or more batches than it has.
        """
        rows = torch.zeros(0, dtype=torch.int64) if order is None else order
        known = rows.dtype == torch.int64 and rows.ndim == 1
        known = known and bool(((rows >= 0) & (rows < self.n_rows)).all())
        if whole and order is not None:
            known = known and len(rows.unique()) == len(rows) == self.n_rows
        if not known or not 0 <= whole_number(taken) <= len(rows) // self.size:
            raise ValueError(f"order and taken are no epoch of {self.n_rows} rows")
        self.order, self.taken = order, taken

    def end(self) -> None:
        """Forget the order of the epoch."""
        self.taken, self.order, self._shuffled = 0, None, None

    def fingerprint(self) -> str:
        """What tells these rows from others."""
        return fingerprint(self.data)


def number_of_rows(data: Data) -> int:
    """The common length of tensors.

    Raises:
        ValueError: where lengths differ, or there are no rows.

    Example:
        >>> number_of_rows({"x": torch.zeros(3, 2), "y": torch.zeros(3)})
        3
    """
    lengths = {name: len(tensor) for name, tensor in data.items()}
    if not lengths or len(set(lengths.values())) > 1 or not next(iter(lengths.values())):
        raise ValueError(
            f"data must be tensors with equal, positive numbers of rows, got {lengths}"
        )
    return next(iter(lengths.values()))


def _filled(rows: Tensor, batch_size: int) -> Tensor:
    """Row numbers, repeated until they fill a batch: shapes stay fixed."""
    return rows.repeat(-(-batch_size // max(len(rows), 1))) if len(rows) < batch_size else rows
