"""The experiments on the future work of the thesis, in small."""

import numpy as np
import pytest

from anabranch.estimators import FlowMixture
from anabranch.experiments import Run, ideas, pinwheel

RUN = Run(seeds=(0,))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few rows, few epochs, small flows."""

    def quick(*args, **settings):
        settings = {**settings, "max_epochs": min(settings.get("max_epochs", 3), 3)}
        return FlowMixture(*args, **settings)

    for module in (ideas, pinwheel):
        monkeypatch.setattr(module, "FlowMixture", quick)
        monkeypatch.setattr(module, "WING", 60)
        monkeypatch.setattr(module, "HELD_OUT", 300)
    monkeypatch.setattr(pinwheel, "THESIS_EPOCHS", 3)
    monkeypatch.setattr(pinwheel, "RESTARTS", 2)


def values(outcome):
    found = {figure.name: figure.value for figure in outcome.figures}
    assert all(np.isfinite(value) for value in found.values())
    return found


@pytest.mark.slow
def test_weight_sharing_counts_parameters():
    outcome = ideas.weight_sharing(RUN)
    assert values(outcome)["share of the parameters"] < 0.45
    assert list(outcome.pictures) == ["shared.png"]


@pytest.mark.slow
def test_prior_update_compares_four_ways():
    outcome = ideas.prior_update(RUN)
    # three epochs do not find the wings, but weights are weights
    assert 0 < values(outcome)["largest error of a weight, from q"] < 0.6
    assert all(name in outcome.table for name in ("network", "exact", "learned", "uniform"))


@pytest.mark.slow
def test_annihilation_counts_seeds():
    outcome = ideas.annihilation(RUN)
    found = values(outcome)
    assert found["Gaussians: seeds that end with 4 of 12"] in (0, 1)
    assert found["pinwheel: seeds that end with 5 of 10"] in (0, 1)


@pytest.mark.slow
def test_complexities_have_a_row_for_each_pair():
    outcome = ideas.complexities(RUN)
    assert len(outcome.table.split("\n\n")[0].splitlines()) == 1 + 2 * 4
    found = values(outcome)
    assert 1 <= found["effective components, Gaussians"] <= 5
    assert 0 <= found["least of these shares"] <= 1


@pytest.mark.slow
def test_the_thesis_and_ours_are_reported():
    outcome = pinwheel.vmonf_pinwheel(RUN)
    found = values(outcome)
    assert 0.2 <= found["thesis settings, mean ACC of q"] <= 1
    assert 0.2 <= found["ours, mean ACC of q"] <= 1
    assert 0.2 <= found["thesis settings, best of 2 by the bound, ACC of q"] <= 1
    assert set(outcome.pictures) == {"thesis.png", "ours.png"}
