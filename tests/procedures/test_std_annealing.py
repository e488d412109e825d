"""Bounds of standard deviations that fall by halves."""

import pytest
import torch
from torch import nn

from anabranch.objectives import Loss
from anabranch.procedures.std_annealing import first_std, std_annealing
from anabranch.training import FitOptions, RateHalving, ScheduledBuffer, fit


class Bounded(nn.Module):
    """A parameter, and a bound that is recorded at every step."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(()))
        self.register_buffer("floor", torch.ones(()))
        self.seen = []

    def forward(self, batch):
        if self.training:
            self.seen.append(self.floor.item())
        return Loss((batch["x"] - self.loc).square().mean(), {})


def test_a_run_passes_through_all_stages():
    model, x = Bounded(), torch.ones(40)
    options = FitOptions(max_epochs=10, batch_size=4, patience=None, learning_rate=0.1)
    bound = std_annealing(100, first=1.0, last=0.25, share=0.8)
    schedules = [ScheduledBuffer("floor", model.floor, bound), RateHalving(40)]
    result = fit(model, {"x": x}, options=options, schedules=schedules)
    assert model.seen == [1.0] * 40 + [0.5] * 40 + [0.25] * 20
    rates = [entry["learning_rate"] for entry in result.history]
    assert rates[-1] == pytest.approx(0.025)


def test_the_compressed_schedule_comes_to_its_end():
    for steps in (1, 10, 1000):
        bound = std_annealing(steps, first=1.0, last=1e-4, share=0.8)
        assert bound(0) == 1.0
        if steps > 20:
            assert bound(int(0.8 * steps)) <= 2e-4
            assert bound(steps) == 1e-4
    assert std_annealing(10, first=0.1, last=0.1)(0) == 0.1


def test_the_first_bound_is_that_of_images_and_falls_with_the_features():
    assert first_std(784) == first_std(10_000) == 1.0
    assert first_std(196) == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: std_annealing(0),
        lambda: std_annealing(10, share=0.0),
        lambda: std_annealing(10, first=0.1, last=0.2),
    ],
)
def test_bounds_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError, match=r"must be|need"):
        make()
