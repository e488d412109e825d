"""Schedules on their own."""

from types import SimpleNamespace

import pytest
import torch

from anabranch.training import (
    CosineDecay,
    ExponentialDecay,
    HoldThenDecay,
    LateFloat32,
    RateHalving,
    ReduceOnPlateau,
    ScheduledBuffer,
)
from anabranch.training.schedules import settings_of

MODEL = SimpleNamespace(half_precision=True)


def tempered(rate):
    return ScheduledBuffer("beta", torch.ones(()), ExponentialDecay(1.0, rate=rate, floor=0.1))


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


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        (CosineDecay(10), CosineDecay(11), "steps"),
        (ReduceOnPlateau(patience=3), ReduceOnPlateau(patience=4), "patience"),
        (ReduceOnPlateau(factor=0.5), ReduceOnPlateau(factor=0.4), "factor"),
        (HoldThenDecay(patience=3), HoldThenDecay(patience=4), "patience"),
        (HoldThenDecay(steps=3), HoldThenDecay(steps=4), "steps"),
        (HoldThenDecay(longest=3), HoldThenDecay(longest=4), "longest"),
        (RateHalving(5), RateHalving(6), "every"),
        (RateHalving(5), CosineDecay(5), "kind"),
        (LateFloat32(MODEL, 3), LateFloat32(MODEL, 4), "first"),
        (tempered(rate=0.1), tempered(rate=0.2), "rate"),
        (tempered(rate=0.1), ScheduledBuffer("beta", torch.ones(()), float), "function"),
    ],
)
def test_settings_tell_schedules_apart(one, other, name):
    (first,), (second,) = (settings_of([schedule]).values() for schedule in (one, other))
    assert first[name] != second[name]
    one.on_step(7)
    assert settings_of([one]) == {one.name: first}  # no matter how far it is


def test_names_that_repeat_are_numbered():
    found = settings_of([CosineDecay(3), RateHalving(4)])
    assert {name: settings["kind"] for name, settings in found.items()} == {
        "learning_rate": "CosineDecay",
        "learning_rate-1": "RateHalving",
    }
