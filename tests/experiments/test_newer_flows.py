"""The comparison of newer flows, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, newer_flows
from anabranch.experiments.density_tables import Spec, one_unit


@pytest.mark.slow
def test_all_flows_come_near_the_entropy_of_a_table(monkeypatch):
    random = np.random.RandomState(0)
    x = random.randn(1500)
    table = np.stack([x, x + 0.5 * random.randn(1500)], 1).round(2)
    monkeypatch.setattr(newer_flows, "read", lambda name, run: table)
    spec = Spec(one_unit([2, 2]), 5, 100)
    monkeypatch.setattr(newer_flows, "TABLES", {"covtype": spec, "protein": spec})
    small = {
        "nsf": {"name": "nsf", "n_layers": 1, "hidden": [8]},
        "residual": {"name": "residual_flow", "n_layers": 2, "hidden": [8]},
        "tarflow": {"name": "tarflow", "n_layers": 2, "width": 8},
        "gaussianization": {"name": "gaussianization", "n_layers": 2, "components": 2},
    }
    monkeypatch.setattr(newer_flows, "FLOWS", small)
    monkeypatch.setattr(newer_flows, "MATCHING", {"hidden": [16], "n_steps": 8})
    outcome = newer_flows.tabular_newer_flows(Run(seeds=(100,)))
    figures = {figure.name: figure.value for figure in outcome.figures}
    assert len(figures) == 2 + 2 * 5 * 2
    truth = -(1 + np.log(2 * np.pi)) - 0.5 * np.log(0.2)  # standardised columns, correlation .894
    for model in ("nsf", *newer_flows.NEWER):
        assert abs(figures[f"covtype, {model}, nats"] - truth) < 0.3, model
