"""The moving average of parameters."""

import pytest
import torch

from anabranch.training.average import ParameterAverage


def test_it_is_the_recursion():
    parameter = torch.zeros(2)
    average, expected = ParameterAverage([parameter], 0.5), torch.zeros(2)
    for step in range(1, 30):
        parameter.fill_(float(step))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    torch.testing.assert_close(average.values[0], expected)


def test_it_stands_in_for_the_parameters_and_goes_again():
    parameter = torch.nn.Parameter(torch.ones(1))
    average = ParameterAverage([parameter], 0.9)
    with torch.no_grad():
        parameter.fill_(3.0)
    with average.in_place():
        assert parameter.item() == 1.0
    assert parameter.item() == 3.0
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    assert parameter.item() == 3.0
    average.settle()
    assert parameter.item() == 1.0


def test_without_decay_nothing_is_kept():
    parameter = torch.ones(1)
    average = ParameterAverage([parameter], 0.0)
    parameter.fill_(2.0)
    average.update(5)
    with average.in_place():
        assert parameter.item() == 2.0
    average.settle()
    assert (parameter.item(), average.values) == (2.0, [])
