"""Schedules on their own."""

import math
from types import SimpleNamespace

import pytest
import torch

from anabranch.training import ExponentialDecay, LateFloat32, ReduceOnPlateau, ScheduledBuffer


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


def test_a_scheduled_buffer_keeps_its_value():
    buffer = torch.ones(())
    schedule = ScheduledBuffer("temperature", buffer, lambda step: 0.5**step)
    schedule.on_step(3)
    state = schedule.state_dict()
    assert buffer.item() == schedule.value == 0.125
    other = torch.ones(())
    restored = ScheduledBuffer("temperature", other, lambda step: 0.5**step)
    restored.load_state_dict(state)
    assert other.item() == restored.value == 0.125


def optimizer(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def test_a_plateau_halves_the_rate_and_an_improvement_starts_the_count_anew():
    schedule, sgd = ReduceOnPlateau(patience=1), optimizer(1.0)
    rates = []
    for score in (3.0, 3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 1.0):
        schedule.on_evaluation(score, sgd)
        rates.append(sgd.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert schedule.value == 0.25


def test_a_plateau_never_raises_the_rate():
    schedule, sgd = ReduceOnPlateau(patience=0, floor=1e-5), optimizer(1e-7)
    for _ in range(3):
        schedule.on_evaluation(1.0, sgd)
    assert sgd.param_groups[0]["lr"] == 1e-7


def test_a_plateau_goes_on_from_its_state():
    first, sgd = ReduceOnPlateau(patience=2), optimizer(1.0)
    first.on_evaluation(1.0, sgd)
    first.on_evaluation(1.0, sgd)
    second = ReduceOnPlateau(patience=2)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.on_evaluation(1.0, sgd)
    assert sgd.param_groups[0]["lr"] == 0.5


def test_no_score_is_no_improvement():
    schedule, sgd = ReduceOnPlateau(patience=0), optimizer(1.0)
    schedule.on_evaluation(1.0, sgd)
    schedule.on_evaluation(math.nan, sgd)
    assert sgd.param_groups[0]["lr"] == 0.5
    assert schedule.best == 1.0


def test_the_last_steps_are_in_float32_also_after_a_resume():
    model, other = SimpleNamespace(half_precision=True), SimpleNamespace(half_precision=True)
    schedule, restored = LateFloat32(model, 3), LateFloat32(other, 3)
    seen = []
    for step in range(5):
        schedule.on_step(step)
        seen.append((model.half_precision, schedule.value))
        restored.load_state_dict(schedule.state_dict())
        assert other.half_precision == model.half_precision
    assert seen == [(True, 1.0)] * 3 + [(False, 0.0)] * 2
    with pytest.raises(ValueError, match="first must not be negative, got -1"):
        LateFloat32(model, -1)
