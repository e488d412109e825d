"""Targets of distribution functions: shares of rows, by counting."""

import numpy as np
import pytest
import torch

from anabranch.functional import ranks
from anabranch.functional.ranks import smooth_targets, stochastic_targets
from tests.registry import seeded


@pytest.mark.parametrize("features", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_shares_are_those_of_counting(monkeypatch, features, weighted):
    monkeypatch.setattr(ranks, "ROWS", 4)
    x = torch.randint(0, 4, (11, features), generator=seeded(0)).double()  # with ties
    places = torch.randn(5, features, generator=seeded(1)).double() + 2
    w = torch.arange(1.0, 12.0).double() if weighted else torch.ones(11).double()
    for found, rows in ((smooth_targets(x, w, places), places), (smooth_targets(x, w), x)):
        below = (x.numpy()[None] <= rows.numpy()[:, None]).all(-1)
        np.testing.assert_allclose(found, below @ w.numpy() / (1 + w.sum().item()))


def test_uniforms_keep_the_order_and_their_means():
    x = torch.tensor([[3.0], [1.0], [2.0], [9.0]])
    draws = torch.stack([stochastic_targets(x, seeded(i)) for i in range(4000)])
    assert bool((draws.argsort(1).argsort(1) == torch.tensor([2, 0, 1, 3])).all())
    torch.testing.assert_close(draws.mean(0), smooth_targets(x), atol=0.012, rtol=0)
