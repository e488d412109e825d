"""Results are what the code as it stands gives: its figures and targets, at no fit's cost."""

import json
from pathlib import Path

import pytest

from anabranch.experiments import list_experiments

RESULTS = Path(__file__).parents[2] / "results"
RECORDED = [name for name in list_experiments() if (RESULTS / f"{name}.json").exists()]


@pytest.mark.parametrize("name", sorted(set(list_experiments()) - set(RECORDED)))
def test_others_can_be_recorded(name, make_results):
    """Their seeds are allowed, and what they measure has a stand-in."""
    assert make_results.made_up_outcome(name, "cpu").figures


@pytest.mark.parametrize("name", RECORDED)
def test_figures_are_those_of_the_recorded_results(name, make_results):
    recorded = json.loads((RESULTS / f"{name}.json").read_text())
    outcome = make_results.made_up_outcome(name, recorded["budget"])
    given = [(f.name, f.target, f.better) for f in outcome.figures]
    assert given == [(f["name"], f["target"], f["better"]) for f in recorded["figures"]]
    assert outcome.table


def test_results_are_of_clean_commits_and_the_default_seeds(make_results):
    results = map(make_results.read_result, sorted(RESULTS.glob("*.json")))
    assert {r["name"]: why for r in results if (why := make_results.refusals(r))} == {}
