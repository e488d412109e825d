"""The experiments on the Gaussian-mixture autoencoder in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, nvisa_blobs, nvisa_gradients


def test_gradients_run_and_meet_their_targets(monkeypatch):
    monkeypatch.setattr(nvisa_gradients, "BATCHES", 60)
    outcome = nvisa_gradients.nvisa_gradients(Run(seeds=(100,)))
    exact = [figure for figure in outcome.figures if "expectation" in figure.name]
    drawn = [figure for figure in outcome.figures if "standard errors" in figure.name]
    assert len(exact) == len(drawn) == 4
    assert all(figure.met for figure in exact + drawn)
    assert len(outcome.table.splitlines()) == 5


def test_blobs_run(monkeypatch):
    monkeypatch.setattr(nvisa_blobs, "ROWS", 400)
    monkeypatch.setitem(nvisa_blobs.SETTINGS, "init_epochs", 1)
    monkeypatch.setitem(nvisa_blobs.SETTINGS, "max_epochs", 1)
    outcome = nvisa_blobs.nvisa_blobs(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert values["mean ACC, the true posterior of the true latents"] > 0.98
    assert values["the same less that of k-means"] == pytest.approx(
        values["mean ACC, NVISA-VIMCO with annealing"] - values["mean ACC, k-means"]
    )
    assert len(outcome.table.splitlines()) == 2


def test_blobs_are_what_they_are_said_to_be():
    X, labels, best = nvisa_blobs.blobs(100)
    again = nvisa_blobs.blobs(100)[0]
    assert X.shape == (nvisa_blobs.ROWS, nvisa_blobs.FEATURES)
    assert (again == X).all()
    assert set(labels) == set(range(nvisa_blobs.K))
    assert 0.98 < best <= 1
    assert np.abs(X).max() < 10
