"""Batches of rows that are not held: all rows, shuffled, and the same from any place on."""

import pytest
import torch

from anabranch.training.parallel import ProcessGroup
from anabranch.training.row_stream import RowStream, StreamedBatches

SIZES = [5, 1, 7, 4, 6]
STARTS = [0, 5, 6, 13, 17]


def stream(window=8, reads=None):
    def read(group):
        if reads is not None:
            reads.append(group)
        return {"x": torch.arange(SIZES[group]) + STARTS[group]}

    return RowStream(SIZES, read, window, "abc")


def drained(batches):
    taken = []
    while batches.left:
        taken.append(batches.take()["x"].tolist())
    return taken


def begun(seed=0, **given):
    batches = StreamedBatches(stream(**given), 3)
    batches.begin(torch.Generator().manual_seed(seed))
    return batches


@pytest.mark.parametrize("window", [1, 3, 8, 100])
def test_an_epoch_goes_through_all_rows_once(window):
    taken = drained(begun(window=window))
    rows = [row for batch in taken for row in batch]
    assert all(len(batch) == 3 for batch in taken)
    assert len(rows) == len(set(rows)) == 21  # of 23: a partial batch is left out
    assert drained(begun(window=window)) == taken
    assert drained(begun(1, window=window)) != taken


def test_rows_of_different_groups_come_together():
    taken = drained(begun(window=100))
    groups = [{sum(row >= start for start in STARTS) for row in batch} for batch in taken]
    assert sum(len(group) > 1 for group in groups) > len(groups) // 2


@pytest.mark.parametrize("done", range(8))
def test_a_run_goes_on_with_the_same_batches_and_reads_only_what_it_needs(done):
    reads, whole = [], begun(window=6)
    rest = drained(begun(window=6))[done:]
    for _ in range(done):
        whole.take()
    again = StreamedBatches(stream(6, reads), 3)
    again.restore(whole.order.clone(), done, whole=True)
    if again.left:
        first = again.take()["x"].tolist()
        assert first == rest[0]
        start = done // 2 * 6
        ends = torch.tensor(SIZES)[whole.order[:-1]].cumsum(0)
        needed = [
            group
            for group, end in zip(whole.order[:-1].tolist(), ends.tolist(), strict=True)
            if end > start and end - SIZES[group] < min(start + 6, 23)
        ]
        assert reads == needed
        assert drained(again) == rest[1:]


def test_processes_share_each_batch():
    alone = drained(begun())
    parts = []
    for rank in range(2):
        batches = StreamedBatches(stream(), 3, ProcessGroup(rank, 2))
        batches.begin(torch.Generator().manual_seed(0))
        parts.append(drained(batches))
    assert [a + b for a, b in zip(*parts, strict=True)] == alone


@pytest.mark.parametrize(
    ("order", "taken"),
    [
        ([0, 1, 2, 3, 3, 9], 0),
        ([0, 1, 2, 3, 9], 0),
        ([0, 1, 2, 3, 4, -1], 0),
        ([0, 1, 2, 3, 4, 9], 8),
        ([0, 1, 2, 3, 4, 9], -1),
    ],
)
def test_what_is_no_epoch_is_refused(order, taken):
    with pytest.raises(ValueError, match=r"no epoch of 5 groups|expected a count"):
        begun().restore(torch.tensor(order), taken, whole=True)
