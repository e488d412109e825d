"""Inverse problems, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, eight_modes, inverse_kinematics


def test_the_arm_runs(monkeypatch):
    monkeypatch.setattr(inverse_kinematics, "ROWS", 512)
    monkeypatch.setattr(inverse_kinematics, "TESTED", 20)
    monkeypatch.setattr(inverse_kinematics, "DRAWS", 20)
    monkeypatch.setattr(inverse_kinematics, "PLACES", 1)
    monkeypatch.setitem(inverse_kinematics.EPOCHS, "cpu", 1)
    outcome = inverse_kinematics.inverse_kinematics(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert (
        0 < values["MMD of the posterior to itself"] < values["MMD of the prior to the posterior"]
    )
    assert values["|parameters of the cINN / of the splines - 1|"] < 0.1
    assert all(np.isfinite(list(values.values())))
    assert len(outcome.table.splitlines()) == 4


def test_the_modes_run(monkeypatch):
    monkeypatch.setattr(eight_modes, "ROWS", 512)
    monkeypatch.setattr(eight_modes, "DRAWS", 50)
    monkeypatch.setitem(eight_modes.EPOCHS, "cpu", 1)
    outcome = eight_modes.eight_modes(Run(seeds=(100,)))
    assert len(outcome.figures) == 6
    assert len(outcome.table.splitlines()) == 5


def test_missing_modes_are_seen():
    problem = eight_modes.PROBLEM
    draws = np.stack([problem.sample_posterior(code, 400, 0) for code in np.eye(4)], 1)
    draws[:, 0] = problem.centres[0]  # one of four
    variation, _ = eight_modes.judged(draws)
    assert variation == pytest.approx(0.75 / 4, abs=0.02)
