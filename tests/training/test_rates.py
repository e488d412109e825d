"""Schedules of the learning rate."""

import math

import pytest
import torch

from anabranch.training import CosineDecay, RateHalving, ReduceOnPlateau


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
