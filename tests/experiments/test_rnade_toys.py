"""The experiment on RNADE in small."""

from dataclasses import replace

import numpy as np
import pytest

from anabranch.experiments import Run, rnade_toys


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(rnade_toys, "TABLES", ("wine",))
    monkeypatch.setattr(rnade_toys, "FOLDS", 2)
    monkeypatch.setattr(rnade_toys, "MOST", 2)
    monkeypatch.setattr(rnade_toys, "BANANA_ROWS", (1000, 500, 2000))
    monkeypatch.setattr(rnade_toys, "HEAVY_ROWS", (1000, 500, 2000))
    monkeypatch.setattr(rnade_toys, "SMALL_FIT", replace(rnade_toys.SMALL_FIT, max_epochs=20))
    monkeypatch.setattr(rnade_toys, "LARGE_FIT", replace(rnade_toys.LARGE_FIT, max_epochs=20))


@pytest.mark.slow
def test_it_runs_and_learns(small):
    outcome = rnade_toys.rnade_toys(Run(seeds=(100,)))
    figures = {figure.name: figure.value for figure in outcome.figures}
    assert 3.5 < figures["banana, nats (entropy 3.531)"] < 3.7
    assert figures["heavy tails, nats of Laplacians above Gaussians"] > -0.3
    assert 0 <= figures["tables, share of folds above the mixture"] <= 1
    assert len(outcome.table.splitlines()) == 4


def test_no_row_is_in_two_parts(small):
    run = Run(seeds=(100, 101))
    folds = [parts for parts, _ in rnade_toys._folds("wine", run)]
    assert len(folds) == 4
    for parts in folds:
        rows = {tuple(row) for part in parts for row in np.round(part, 9)}
        assert len(rows) == sum(map(len, parts)) == 178
