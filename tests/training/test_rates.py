"""Schedules of the learning rate."""

import math

import pytest
import torch

from anabranch.training import (
    CosineDecay,
    FitOptions,
    HoldThenDecay,
    RateHalving,
    ReduceOnPlateau,
    fit,
)
from tests.training.toys import Mean, points


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


def test_a_cosine_goes_on_from_its_state_and_keeps_what_a_rollback_halved():
    sgd = optimizer(1.0)
    first, second = CosineDecay(10), CosineDecay(10)
    first.on_step(4)
    first.on_evaluation(0.0, sgd)
    second.load_state_dict(first.state_dict())
    sgd.param_groups[0]["lr"] *= 0.5  # a rollback
    second.on_step(9)
    second.on_evaluation(0.0, sgd)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.5 * 0.01)


def test_a_rate_that_was_restored_is_not_halved_again():
    sgd = optimizer(1.0)
    schedule = RateHalving(10)
    schedule.on_step(9)
    schedule.on_evaluation(0.0, sgd)
    resumed = RateHalving(10)
    resumed.load_state_dict(schedule.state_dict())
    resumed.on_evaluation(0.0, sgd)
    assert sgd.param_groups[0]["lr"] == 0.5
    resumed.on_step(29)
    resumed.on_evaluation(0.0, sgd)
    assert sgd.param_groups[0]["lr"] == 0.125


def test_there_is_no_halving_within_a_step():
    with pytest.raises(ValueError, match="every must be at least 1 step, got 0"):
        RateHalving(0)


def held(scores, schedule, sgd, every=1):
    rates = []
    for number, score in enumerate(scores, 1):
        schedule.on_step(number * every - 1)
        schedule.on_evaluation(score, sgd)
        rates.append(sgd.param_groups[0]["lr"])
    return rates


def test_a_rate_is_held_until_nothing_improves_and_then_falls_to_zero():
    schedule, sgd = HoldThenDecay(patience=1, steps=4), optimizer(1.0)
    rates = held((3.0, 2.0, 2.5, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0), schedule, sgd)
    assert rates[:6] == [1.0] * 6
    assert rates[6:] == pytest.approx([(2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
    assert not schedule.finished
    assert held((0.0,), schedule, sgd, every=10) == [0.0]
    assert schedule.finished


def test_a_long_hold_has_a_long_fall():
    schedule, sgd = HoldThenDecay(patience=0, steps=2), optimizer(1.0)
    rates = held((1.0, *[1.0] * 9), schedule, sgd, every=10)
    assert rates == pytest.approx([1.0, 1.0, 0.0] + [0.0] * 7)  # from step 20 on over 10
    schedule, sgd = HoldThenDecay(patience=0, steps=2, longest=40), optimizer(1.0)
    rates = held([-n for n in range(10)], schedule, sgd, every=10)  # it always improves
    assert rates == pytest.approx([1.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_a_held_rate_goes_on_from_its_state_and_keeps_what_a_rollback_halved():
    sgd = optimizer(1.0)
    first, second = (HoldThenDecay(patience=0, steps=4) for _ in range(2))
    held((1.0, 1.0, 1.0), first, sgd)
    second.load_state_dict(first.state_dict())
    sgd.param_groups[0]["lr"] *= 0.5  # a rollback
    second.on_step(3)
    second.on_evaluation(9.0, sgd)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.25)


def test_a_run_ends_with_its_rate_and_resumes_within_the_fall(tmp_path):
    def run(name, epochs, *, resume=False):
        model, path = Mean(), tmp_path / name
        options = FitOptions(
            max_epochs=epochs, patience=None, checkpoint=path, min_evaluation_steps=1
        )
        rate = [HoldThenDecay(patience=1, steps=6)]
        far, near = points(1.0), points(0.0)  # which training leaves
        return fit(model, far, near, options=options, schedules=rate, resume=resume), rate[0]

    whole, rate = run("whole", 500)
    assert (whole.stopped, whole.steps, rate.share) == ("patience", 9, 0.0)
    run("parts", 5)
    again, _ = run("parts", 500, resume=True)
    assert [e["learning_rate"] for e in again.history] == [
        e["learning_rate"] for e in whole.history
    ]
    assert again.history[-1]["validation_error"] == whole.history[-1]["validation_error"]
