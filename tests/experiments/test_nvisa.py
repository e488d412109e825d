"""The experiments on the Gaussian-mixture autoencoder in small."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from anabranch.experiments import Run, nvisa_blobs, nvisa_gradients
from anabranch.experiments.baselines import kmeans
from anabranch.metrics import clustering_accuracy


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
    monkeypatch.setitem(nvisa_blobs.SETTINGS, "start", {"epochs": 1})
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


def test_blobs_are_what_they_are_said_to_be():
    X, labels, best = nvisa_blobs.blobs(100)
    again = nvisa_blobs.blobs(100)[0]
    assert X.shape == (nvisa_blobs.ROWS, nvisa_blobs.FEATURES)
    assert (again == X).all()
    assert set(labels) == set(range(nvisa_blobs.K))
    assert 0.98 < best <= 1
    assert np.abs(X).max() < 10


def test_no_two_blobs_lie_on_top_of_each_other():
    # the first means that seed 128 draws are 3.2 standard deviations apart
    distances = [
        pdist(nvisa_blobs._means(np.random.RandomState(seed)) / nvisa_blobs.STDS).min()
        for seed in range(124, 134)
    ]
    assert min(distances) >= nvisa_blobs.APART
    assert nvisa_blobs.blobs(128)[2] > 0.98


def test_k_means_splits_the_blobs_although_the_latents_tell_them_apart(monkeypatch):
    monkeypatch.setattr(nvisa_blobs, "ROWS", 500)
    k_means, best = [], []
    for seed in range(100, 106):
        X, labels, possible = nvisa_blobs.blobs(seed)
        k_means.append(clustering_accuracy(labels, kmeans(X, nvisa_blobs.K, seed).predict(X)))
        best.append(possible)
    assert np.mean(k_means) < 0.85
    assert min(best) > 0.97
