"""The experiments on the Gaussian-mixture autoencoder in small."""

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


def test_priors_run(monkeypatch):
    monkeypatch.setattr(nvisa_blobs, "WING", 50)
    for name in ("start__epochs", "max_epochs"):
        monkeypatch.setitem(nvisa_blobs.BENT, name, 1)
    outcome = nvisa_blobs.nvisa_flow_prior(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    gain = values["mean ACC with flows"] - values["mean ACC with Gaussians"]
    assert values["mean ACC with flows less that with Gaussians"] == pytest.approx(gain)
    assert len(outcome.table.splitlines()) == 3


def test_blobs_run(monkeypatch):
    monkeypatch.setattr(nvisa_blobs, "ROWS", 400)
    monkeypatch.setitem(nvisa_blobs.SETTINGS, "start__epochs", 1)
    monkeypatch.setitem(nvisa_blobs.SETTINGS, "max_epochs", 1)
    outcome = nvisa_blobs.nvisa_blobs(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    mean = values["mean ACC, NVISA-VIMCO with annealing"]
    assert values["mean ACC, the true posterior of the true latents"] > 0.98
    assert values["the same less that of k-means"] == pytest.approx(
        mean - values["mean ACC, k-means"]
    )
    assert values["worst ACC, NVISA-VIMCO with annealing"] == mean
    assert values["mean ACC, NVISA-VIMCO with annealing from random weights"] != mean
    assert len(outcome.table.splitlines()) == 2
