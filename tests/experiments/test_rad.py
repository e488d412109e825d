"""RAD beside Real NVP, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, list_experiments, rad
from anabranch.problems import gaussian_ring


@pytest.mark.slow
def test_it_runs_in_small(monkeypatch):
    small = {"N_TRAIN": 600, "N_HELD_OUT": 200, "N_SAMPLES": 200, "N_VALIDATION": 200, "SIZE": 20}
    for name, value in {**small, "EPOCHS": {"cpu": 1}}.items():
        monkeypatch.setattr(rad, name, value)
    monkeypatch.setattr(rad, "PROBLEMS", {"ring": gaussian_ring(), "moons": rad.PROBLEMS["moons"]})
    integral = rad.integral
    monkeypatch.setattr(rad, "integral", lambda model: integral(model, 50))
    outcome = rad.rad_toys(Run(seeds=(3, 4)))
    assert sorted(outcome.pictures) == ["moons.png", "ring.png"]
    assert all(content.startswith(b"\x89PNG") for content in outcome.pictures.values())
    figures = {figure.name: figure for figure in outcome.figures}
    assert figures["|parameters of RAD / RealNVP - 1|"].met
    assert figures["ring: NLL of RAD above the entropy, nats"].target == 0.15
    assert figures["moons: NLL of RAD above the entropy, nats"].target is None
    assert "rad-toys" in list_experiments()


@pytest.mark.parametrize("name", rad.PROBLEMS)
def test_draws_of_a_problem_do_not_stray(name):
    problem = rad.PROBLEMS[name]
    X, _ = problem.sample(2000, random_state=0)
    if name == "moons":
        assert np.isnan(rad.stray(problem, X))
    else:
        assert rad.stray(problem, X) < 0.005
        assert rad.stray(problem, 5 + X) == 1
