"""The ring and the pinwheel by GM-GAN and MIXAE, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, gmgan_ring, mixae_pinwheel
from anabranch.problems import draw_around


def test_the_ring_runs(monkeypatch):
    monkeypatch.setattr(gmgan_ring, "ROWS", 400)
    monkeypatch.setattr(gmgan_ring, "DRAWN", 200)
    monkeypatch.setitem(gmgan_ring.FIT, "max_epochs", 1)
    outcome = gmgan_ring.gmgan_ring(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert 0 < values["best ACC of the classifier"] <= 1
    assert 0 <= values["mean modes covered"] <= 8
    assert len(outcome.table.splitlines()) == 2


def test_the_pinwheel_runs(monkeypatch):
    monkeypatch.setattr(mixae_pinwheel, "WING", 60)
    monkeypatch.setitem(mixae_pinwheel.FIT, "max_epochs", 10)
    outcome = mixae_pinwheel.mixae_pinwheel(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert 0.2 <= values["best ACC"] <= 1
    assert 1 <= values["mean autoencoders used without the balance"] <= 5
    assert len(outcome.table.splitlines()) == 2


def test_the_rows_of_the_ring_cover_it():
    X, _ = draw_around(gmgan_ring.CENTERS, gmgan_ring.STD, 5000, random_state=100)
    assert gmgan_ring.covered(X) == (8, pytest.approx(1.0, abs=0.001))


def test_a_mode_is_covered_by_a_quarter_of_its_share():
    centers = gmgan_ring.CENTERS
    counts = np.array([240, 100, 100, 100, 100, 110, 25, 25])
    drawn = np.repeat(centers, counts, axis=0)
    assert gmgan_ring.covered(drawn) == (8, 1.0)
    away = drawn + np.array([3.9 * gmgan_ring.STD, 0.0])
    assert gmgan_ring.covered(away)[0] == 8
    assert gmgan_ring.covered(drawn + np.array([4.1 * gmgan_ring.STD, 0.0])) == (0, 0.0)
    drawn[-25] = 0.0  # one draw fewer of the last
    assert gmgan_ring.covered(drawn) == (7, pytest.approx(1 - 1 / 800))
