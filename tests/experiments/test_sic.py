"""The experiment on distribution functions: its truth, and a small run."""

import numpy as np
import pytest

from anabranch.experiments import Run, sic


def test_the_exponent_is_that_of_the_errors():
    assert sic.exponent(3 * np.array(sic.SIZES) ** -0.5) == pytest.approx(0.5)


def test_a_small_run(monkeypatch):
    monkeypatch.setattr(sic, "SIZES", (50, 60, 70, 200))
    monkeypatch.setattr(sic, "STEPS", {"smooth": 60, "stochastic": 60})
    monkeypatch.setattr(sic, "PLANE_STEPS", 5)
    figures = {f.name: f for f in sic.sic_sets(Run(seeds=(100,))).figures}
    assert figures["median ISE of SIC over that of Silverman's KDE"].target == 1
    assert 0 < figures["median ISE of SIC over that of Silverman's KDE"].value < 8
    assert figures["exponent of the rate, 50 to 200 rows"].target == 0.45
