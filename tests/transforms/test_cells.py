"""Whole numbers spread over their cells."""

import pytest
import torch

from anabranch.transforms import Cells, Support

X = torch.tensor([[0.0, 0.25, -3.0], [7.0, -1.5, 4.0]])


@pytest.mark.parametrize("training", [True, False])
def test_a_place_in_a_cell_and_back(training):
    cells = Cells([1.0, 0.0, 1.0]).train(training)
    z, term = cells.encode(X, generator=torch.Generator().manual_seed(0))
    assert (z[:, 1] == X[:, 1]).all()
    assert ((z[:, [0, 2]] > X[:, [0, 2]]) & (z[:, [0, 2]] < X[:, [0, 2]] + 1)).all()
    assert (term == 0).all()
    assert torch.equal(cells.decode(z)[0], X)


def test_the_places_are_uniform_and_the_same_at_every_call():
    cells = Cells([1.0]).eval()
    x = torch.arange(4000.0)[:, None]
    z = cells.encode(x)[0]
    assert torch.equal(z, cells.encode(x)[0])
    u = (z - x).double()
    assert u.mean().item() == pytest.approx(0.5, abs=0.02)
    assert u.var().item() == pytest.approx(1 / 12, abs=0.005)
    noisy = Cells([1.0]).train()
    first = noisy.encode(x, generator=torch.Generator().manual_seed(0))[0]
    assert not torch.equal(first, noisy.encode(x, generator=torch.Generator().manual_seed(1))[0])


def test_missing_cells_stay_missing():
    z = Cells([1.0, 0.0]).eval().encode(torch.tensor([[torch.nan, torch.nan]]))[0]
    assert z.isnan().all()
    support = Support([0.0, -torch.inf], [torch.inf, torch.inf])
    z, terms = support.columnwise(torch.tensor([[torch.nan, 1.0], [2.0, torch.nan]]))
    assert torch.equal(z.isnan(), torch.tensor([[True, False], [False, True]]))
    assert terms[0, 0] == 0
    assert terms[1, 0].item() == pytest.approx(-torch.tensor(2.0).log().item())


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match="widths must be numbers from 0"):
        Cells([-1.0])
