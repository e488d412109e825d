"""The experiment with posteriors of known gaps, as short as it can be."""

import math

import pytest
import torch

from anabranch.experiments import Run
from anabranch.experiments import linear_gaussian_posteriors as experiment


def test_an_excess_is_counted_in_standard_errors():
    # bounds of one draw are the draws; of n equal ones the bound is the same
    beyond = torch.tensor([[0.0, 2.0], [0.0, 2.0]], dtype=torch.float64)
    assert experiment.excess(beyond, 1) == pytest.approx(1 / (math.sqrt(4 / 3) / 2))
    assert experiment.excess(beyond, 2) == pytest.approx(1 / (math.sqrt(2) / math.sqrt(2)))
    assert experiment.excess(-beyond, 1) < 0


def test_it_runs(monkeypatch):
    for name, value in {"ROWS": 256, "STEPS": 4, "BATCH": 64, "HELD_OUT": 20}.items():
        monkeypatch.setattr(experiment, name, value)
    outcome = experiment.linear_gaussian_posteriors(Run(seeds=(100,)))
    figures = {f.name: f for f in outcome.figures}
    # after four steps no gap is closed, and no bound is above the truth either
    assert not any(f.met for name, f in figures.items() if name.startswith("gap") and f.target)
    assert figures["largest excess of a bound, standard errors"].met
    assert figures["mean-field gap in closed form, nats"].value > 0.1
