"""Figures are those of the recorded results: their names, targets and order, at no fit's cost.

Each experiment is run with measurements that are made up from the types of their fields.
"""

import importlib
import json
from pathlib import Path
from typing import get_args, get_origin, get_type_hints
from unittest.mock import MagicMock

import numpy as np
import pytest

from anabranch.experiments import Run, list_experiments
from anabranch.experiments.seeded import Rows
from anabranch.problems import Entropy, Problem

RESULTS = Path(__file__).parents[2] / "results"
DRAWN = ("picture", "_pictures", "_drawn", "animation", "samples_picture")
READ = {
    "images": lambda *_: (np.zeros((9, 4)), np.zeros(9, dtype=int)),
    "contingency_text": lambda *_: "",
    "read_uci": lambda _: np.zeros((9, 2)),
    "read_covertype": lambda _: np.zeros((9, 2)),
}
# They measure by other ways than on each seed, or what they take was recorded by other code.
OTHERS = {"bnaf-toys", "clustering-digits", "clustering-table", "nvisa-ablation", "nvisa-gradients"}
OTHERS |= {"nvisa-half", "planar-vi", "rnade-toys", "tabular-density"}
CHECKED = sorted(
    name for name in set(list_experiments()) - OTHERS if (RESULTS / f"{name}.json").exists()
)


def made_up(kind, args, seed):
    """A row of this type; text and whole numbers are those that the measurement was asked for."""
    given = [getattr(a, "name", a) for a in args]
    text, whole = (iter([a for a in given if isinstance(a, kind)]) for kind in (str, int))

    def value(field, hint):
        if field == "seed":
            return seed
        if field == "scores":
            return np.full((5, 2), 0.5)
        if hint in (str, int, float):
            return next(text) if hint is str else next(whole, 5) if hint is int else 0.5
        for part in get_args(hint):
            if hasattr(part, "_fields"):
                return made_up(part, (), seed)
            if get_origin(hint) in (list, tuple):
                return [0.5, 0.5] if part in (int, float) else [MagicMock(), MagicMock()]
        return MagicMock()

    return kind(**{field: value(field, hint) for field, hint in get_type_hints(kind).items()})


def without_fits(seeds, one_seed, *args, **kwargs):
    """As `per_seed`."""
    kind = get_type_hints(one_seed)["return"]
    return Rows([made_up(kind, args, seed) for seed in seeds], seconds=1.0)


@pytest.mark.parametrize("name", CHECKED)
def test_figures_are_those_of_the_recorded_results(name, monkeypatch):
    recorded = json.loads((RESULTS / f"{name}.json").read_text())
    function = list_experiments()[name].function
    module = importlib.import_module(function.__module__)
    monkeypatch.setattr(module, "per_seed", without_fits)
    monkeypatch.setattr(Run, "path", lambda *_: Path("."))
    monkeypatch.setattr(Problem, "entropy", lambda *_, **__: Entropy(1.0, 0.0))
    for drawn in DRAWN:
        monkeypatch.setattr(module, drawn, lambda *_: b"", raising=False)
    for read, small in READ.items():
        if hasattr(module, read):
            monkeypatch.setattr(module, read, small)
    outcome = function(Run(tuple(recorded["seeds"]), recorded["budget"]))
    given = [(f.name, f.target, f.better) for f in outcome.figures]
    assert given == [(f["name"], f["target"], f["better"]) for f in recorded["figures"]]
    assert outcome.table
