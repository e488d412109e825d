"""Rows in their order, cut into batches."""

import pytest
import torch

from anabranch.training.batches import Batches, number_of_rows
from anabranch.training.parallel import ProcessGroup
from tests.registry import seeded


def taken(batches):
    found = []
    while batches.left:
        found.append(batches.take()["x"].tolist())
    return found


def test_an_epoch_goes_through_whole_batches_of_its_order():
    batches = Batches({"x": torch.arange(11), "y": torch.arange(11)}, 3)
    assert not batches.left
    batches.begin(seeded(0))
    order = torch.randperm(11, generator=seeded(0))
    assert taken(batches) == order[:9].reshape(3, 3).tolist()
    batches.end()
    assert not batches.left
    batches.begin(seeded(1))
    assert taken(batches) == torch.randperm(11, generator=seeded(1))[:9].reshape(3, 3).tolist()


def test_an_epoch_may_have_rows_of_its_own():
    batches = Batches({"x": torch.arange(11)}, 4)
    batches.begin(seeded(0), torch.tensor([3, 5]))  # too few for a batch: they are repeated
    (rows,) = taken(batches)
    assert sorted(rows) == [3, 3, 5, 5]
    batches.end()
    batches.begin(seeded(0), torch.tensor([], dtype=torch.long))
    assert not batches.left


def test_processes_share_a_batch():
    parts = [Batches({"x": torch.arange(10)}, 5, ProcessGroup(rank, 2)) for rank in range(2)]
    for part in parts:
        part.begin(seeded(0))
    rows = [[a + b for a, b in zip(*map(taken, parts), strict=True)]]
    assert rows == [torch.randperm(10, generator=seeded(0)).reshape(2, 5).tolist()]


def test_an_epoch_is_taken_up_within():
    whole, again = (Batches({"x": torch.arange(9)}, 2) for _ in range(2))
    whole.begin(seeded(0))
    whole.take()
    again.order, again.taken = whole.order, whole.taken
    assert taken(again) == taken(whole)


def test_tensors_have_the_same_rows():
    with pytest.raises(ValueError, match=r"got \{'x': 2, 'y': 3\}"):
        number_of_rows({"x": torch.zeros(2), "y": torch.zeros(3)})
