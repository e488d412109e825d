"""The experiments on planar, block autoregressive and greedy flows in small."""

import sys

import numpy as np
import pytest
import torch

from anabranch.distributions import DiagonalNormal
from anabranch.experiments import Run, bnaf_toys, planar_vi, tabak_turner

PNG = b"\x89PNG"
variational = sys.modules["anabranch.training.fit_reverse_kl"]


def by_name(outcome):
    return {figure.name: figure for figure in outcome.figures}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(planar_vi, "LAYERS", (1, 4))
    monkeypatch.setattr(planar_vi, "RATE", 0.03)
    for name, value in (("STARTS", 2), ("STEPS", 150), ("SAMPLES", 64), ("DRAWS", 4000)):
        monkeypatch.setattr(planar_vi, name, value)
    monkeypatch.setattr(variational, "EVALUATIONS", 5)
    for name, value in (("STEPS", 200), ("PLANAR_STEPS", 40), ("HIDDEN", (10, 10))):
        monkeypatch.setattr(bnaf_toys, name, value)
    for name, value in (("ROWS", 1000), ("HELD_OUT", 1000), ("EPOCHS", 40), ("BATCH", 100)):
        monkeypatch.setattr(bnaf_toys, name, value)
    for name, value in (("ROWS", 800), ("HELD_OUT", 400), ("TEST_ROWS", 2000), ("STEPS", 60)):
        monkeypatch.setattr(tabak_turner, name, value)


@pytest.mark.slow
def test_more_planar_layers_come_closer(small):
    outcome = planar_vi.planar_vi(Run(seeds=(100,)))
    figures = by_name(outcome)
    for k in (1, 2, 3, 4):
        deep, flat = (figures[f"KL to U{k}, planar {n} layers, nats"].value for n in (4, 1))
        assert 0 < deep < flat < 2.5
    assert [f.name for f in outcome.figures if f.target is not None] == [
        *(f"KL to U{k}, planar 4 layers, nats" for k in (1, 2, 3, 4)),
        "KL to U1, radial 4 layers, nats",
    ]
    assert len(outcome.figures) == len(figures) == 12
    assert len(outcome.table.splitlines()) == 1 + 3 * 4
    assert outcome.pictures["energies.png"].startswith(PNG)


def test_of_the_starts_the_best_is_taken(small, monkeypatch):
    """Without a step, the base that was put nearest to the energy wins."""
    monkeypatch.setattr(planar_vi, "fit_reverse_kl", lambda *args, **settings: None)

    def make(shape):
        base = DiagonalNormal(2, batch_shape=shape)
        with torch.no_grad():
            base.loc[:, 0] = 30.0
        return base

    for approximation in planar_vi.approximate(make, 0):
        assert approximation.flow.loc.abs().max() == 0
        assert approximation.found.kl > 0.5


@pytest.mark.slow
def test_block_flows_on_energies_and_the_pinwheel(small):
    outcome = bnaf_toys.bnaf_toys(Run(seeds=(100,)))
    figures = by_name(outcome)
    assert figures["KL to U2, nats"].value < 1.0
    assert 0 < figures["pinwheel: NLL above the truth, nats"].value < 1.2
    assert figures["KL to U1, nats"].target == 0.02
    assert len(outcome.table.splitlines()) == 6


def test_greedy_ascent_on_two_problems(small):
    outcome = tabak_turner.tabak_turner_toys(Run(seeds=(100,)))
    figures = by_name(outcome)
    assert figures["largest fall of the likelihood, nats"].value == 0
    assert figures["pinwheel: share of the gap closed"].value > 0.2
    assert figures["banana: NLL above the truth, nats"].value < 0.4
    assert outcome.pictures["ascent.png"].startswith(PNG)


def test_mardia_kurtosis_tells_heavy_tails():
    random = np.random.RandomState(0)
    assert abs(tabak_turner.mardia_kurtosis(random.standard_normal((20_000, 3)) @ np.eye(3))) < 3
    assert tabak_turner.mardia_kurtosis(random.standard_t(5, (20_000, 3))) > 10
    assert tabak_turner.mardia_kurtosis(random.uniform(-1, 1, (20_000, 3))) < -10
