"""Numbers that depend on the step alone."""

import math

import pytest

from anabranch.training import Annealing, ExponentialDecay, Halving, RampUp


@pytest.mark.parametrize(("start", "rate", "floor"), [(1.0, 1e-3, 1e-2), (5.0, 0.5, 5.0)])
def test_decay_is_exponential_down_to_its_floor(start, rate, floor):
    decay = ExponentialDecay(start, rate=rate, floor=floor)
    for step in (0, 1, 100, 4604, 4606, 10**6, 10**12):
        assert decay(step) == pytest.approx(max(start * math.exp(-rate * step), floor), rel=1e-12)
    assert decay(10**12) == floor


@pytest.mark.parametrize(
    "wrong", [{"rate": -1.0, "floor": 0.1}, {"rate": 1.0, "floor": 0.0}, {"rate": 1.0, "floor": 2}]
)
def test_decays_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="need rate >= 0 and start >= floor > 0, got start=1"):
        ExponentialDecay(1.0, **wrong)


def test_the_published_schedule():
    bound = Halving(1.0, every=100, floor=1e-4)
    assert [bound(100 * i) for i in range(4)] == [1.0, 0.5, 0.25, 0.125]
    assert bound(1399) == 2.0**-13
    assert bound(1400) == bound(10**12) == 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Halving(1.0, every=0, floor=0.1),
        lambda: Halving(0.1, every=1, floor=1.0),
        lambda: Annealing(0),
        lambda: RampUp(0),
    ],
)
def test_functions_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError, match=r"must be|need"):
        make()
