"""The ideas of the thesis, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, ideas

QUICK = {"max_epochs": 2, "flow": {"name": "realnvp", "n_layers": 2, "hidden": [4]}}


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(ideas, "RING", 100)
    monkeypatch.setattr(ideas, "HELD_OUT", 500)
    for name in ("UNLABELLED", "LABELLED"):
        variants = {key: how | QUICK for key, how in getattr(ideas, name).items()}
        monkeypatch.setattr(ideas, name, variants)


@pytest.mark.slow
@pytest.mark.usefixtures("_small")
def test_consistency_runs_in_small():
    outcome = ideas.consistency(Run(seeds=(3,)))
    figures = {figure.name: figure for figure in outcome.figures}
    changed = [figures[f"changed answers {how} consistency"].value for how in ("with", "without")]
    assert 0 <= min(changed) <= max(changed) < 0.3
    drop = figures["drop of the share of changed answers"]
    assert drop.value == pytest.approx(1 - changed[0] / changed[1])
    assert drop.target == 0.5
    assert len(outcome.table.splitlines()) == 4


def test_variants_differ_in_consistency_alone():
    for variants in (ideas.UNLABELLED, ideas.LABELLED):
        others = [{k: v for k, v in how.items() if k != "consistency"} for how in variants.values()]
        assert all(other == others[0] for other in others)


@pytest.mark.usefixtures("_small")
def test_accuracy_counts_rows_without_a_label_alone(monkeypatch):
    class Contrary:
        """Knows the labels it was given, and is wrong about all others."""

        def __init__(self, n_components, **settings):
            assert n_components == 2

        def fit(self, X, y=None):
            self.y = np.zeros(len(X)) if y is None else y
            return self

        def score(self, X):
            return 0.0

        def predict(self, X):
            if len(X) != len(self.y):
                return np.zeros(len(X))
            truth = ideas.RINGS.sample_per_component(100, random_state=3)[1]
            return (1 - truth) * (self.y < 0) + truth * (self.y >= 0)

    monkeypatch.setattr(ideas, "FlowMixture", Contrary)
    assert ideas.steadiness(3, "none").acc_4_labels == 0
