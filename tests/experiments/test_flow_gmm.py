"""FlowGMM on toys, in small."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from anabranch.experiments import Run, flow_gmm, list_experiments
from anabranch.experiments.seeded import Rows
from anabranch.problems import Moons

QUICK = {"max_epochs": 2, "flow": {"name": "realnvp", "n_layers": 2, "hidden": [4]}}


@pytest.fixture
def _small(monkeypatch):
    consistent = {**flow_gmm.CONSISTENT, **QUICK}
    small = {"PER_CLASS": 60, "HELD_OUT": 200, "PLAIN": QUICK, "CONSISTENT": consistent}
    for name, value in {
        **small,
        "DIGITS": {"model_options": {"levels": 17}, "max_epochs": 0},
    }.items():
        monkeypatch.setattr(flow_gmm, name, value)
    single = flow_gmm.FlowMixture
    monkeypatch.setattr(flow_gmm, "FlowMixture", lambda k, **how: single(k, **QUICK, **how))
    X, y = load_digits(return_X_y=True)
    monkeypatch.setattr(flow_gmm, "load_digits", lambda return_X_y: (X[:400, 24:40], y[:400]))
    monkeypatch.setattr(flow_gmm, "PROBLEMS", {"moons, 8 labels": (Moons(), 4)})


@pytest.mark.usefixtures("_small")
def test_it_runs_in_small():
    outcome = flow_gmm.flowgmm_toys(Run(seeds=(3,)))
    assert outcome.pictures["moons.png"].startswith(b"\x89PNG")
    figures = {figure.name: figure for figure in outcome.figures}
    assert figures["moons, 8 labels: mean ACC"].target == 0.97
    assert 0.4 < figures["moons, 8 labels: mean ACC"].value <= 1
    assert figures["digits, 100 labels: ACC"].value > 0.5, "the start is a Gaussian mixture"
    assert len(outcome.table.splitlines()) == 2
    assert "flowgmm-toys" in list_experiments()


@pytest.mark.usefixtures("_small")
def test_a_row_is_what_its_fields_say():
    row = flow_gmm.on_toy(3, Moons(), 4)
    model = row.mixture
    X, y = Moons().sample_per_component(60, random_state=3)
    V, _ = Moons().sample(200, random_state=10_003)
    hidden = flow_gmm.few_labels(y, 4, 3) < 0
    assert row.consistent == pytest.approx((model.predict(X[hidden]) == y[hidden]).mean())
    assert row.nll_consistent == pytest.approx(-model.score(V))


def test_figures_judge_the_worse_density():
    row = flow_gmm.Toy(0, 0.8, 0.98, 0.99, 1.0, 1.2, 1.1, mixture=None)
    figures = flow_gmm._figures("toy", Rows([row]))
    values = {figure.name: (figure.value, figure.met) for figure in figures}
    assert values["toy: NLL above one RealNVP, nats"] == (pytest.approx(0.1), False)
    assert values["toy: ACC with consistency minus without"] == (pytest.approx(0.01), True)
    assert values["toy: mean ACC of the labels alone"] == (0.8, True)


def test_few_labels_are_so_many_of_each_class_and_true():
    y = np.repeat([0, 1, 2], 20)
    few = flow_gmm.few_labels(y, 4, 0)
    assert [(few == k).sum() for k in range(3)] == [4, 4, 4]
    assert (few[few >= 0] == y[few >= 0]).all()
    assert (few != flow_gmm.few_labels(y, 4, 1)).any()
