"""Nearest neighbours of two samples."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from anabranch.metrics import nearest_neighbour_accuracy


def test_one_law_gives_a_half_and_two_more():
    random = np.random.RandomState(0)
    x, y = random.normal(size=(2, 2000, 2))
    assert nearest_neighbour_accuracy(x, y) == pytest.approx(0.5, abs=0.03)
    # of N(0, 1) and N(3, 1) on the line a neighbour errs where p q / (p + q) is
    grid = np.linspace(-8, 11, 20001)
    p, q = (np.exp(-((grid - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0, 3))
    truth = 1 - trapezoid(p * q / (p + q), grid)
    found = nearest_neighbour_accuracy(x[:, 0], 3 + y[:, 0])
    assert found == pytest.approx(truth, abs=0.02)


def test_copies_are_below_a_half():
    x = np.random.RandomState(0).normal(size=(200, 3))
    assert nearest_neighbour_accuracy(x, x + 1e-6) < 0.05


def test_errors():
    with pytest.raises(ValueError, match="2 features, y has 3"):
        nearest_neighbour_accuracy(np.zeros((2, 2)), np.zeros((2, 3)))
