"""Small experiments with variational autoencoders and NVISA, as short as they can be."""

import math

import numpy as np
import pytest

from anabranch.experiments import (
    Run,
    copula_collapse,
    nvisa_features,
    nvisa_tree_prior,
    nvisa_why_annealing,
    planar_maps,
)
from anabranch.problems import HiddenBlobs, TwoFacets


def short(monkeypatch, module, **values):
    for name, value in values.items():
        monkeypatch.setattr(module, name, value)


def figures(outcome):
    return {figure.name: figure for figure in outcome.figures}


def test_planar_maps_hold(monkeypatch):
    short(monkeypatch, planar_maps, LAYERS=(1,))
    found = figures(planar_maps.planar_maps(Run(seeds=(100,))))
    assert all(figure.value <= figure.target for figure in found.values())


def test_a_map_that_does_not_hold_is_seen(monkeypatch):
    made = planar_maps.maps("planar", 2, 0)
    right = planar_maps._errors_of(made, 0)
    decode = type(made).decode
    monkeypatch.setattr(type(made), "decode", lambda *a: (lambda x, t: (1.01 * x, t))(*decode(*a)))
    wrong = planar_maps._errors_of(made, 0)
    assert wrong.volume > 1e-3 > right.volume
    assert wrong.inverse > 1e-3 > right.inverse


def test_copula_collapse_runs(monkeypatch):
    short(monkeypatch, copula_collapse, ROWS=100, TEST=50, STEPS=4, HIDDEN=8, BATCH=50)
    found = figures(copula_collapse.copula_collapse(Run(seeds=(100,))))
    assert -30 < found["bound, copula, nats"].value < 0
    kept = found["divergence, copula, nats"].value - found["divergence, diagonal, nats"].value
    assert found["divergence with a copula less with mean field, nats"].value == kept


def test_bits_of_a_sentence_depend_on_what_is_hidden():
    x = copula_collapse.sentences(4000, 0)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    alike = (x[:, 1:] == x[:, :-1]).float().mean(1)
    assert alike.std() > 1.5 * (0.25 / 23) ** 0.5  # more than coins of one bias would have


def test_why_annealing_tells_parts(monkeypatch):
    problem = HiddenBlobs(2, 8, (0.3, 0.3))
    short(monkeypatch, nvisa_why_annealing, PROBLEM=problem, K=2, ROWS=100, HELD_OUT=50)
    short(monkeypatch, nvisa_why_annealing, HIDDEN=(8,), EPOCHS=4, BATCH=50)
    outcome = nvisa_why_annealing.nvisa_why_annealing(Run(seeds=(100,)))
    course = nvisa_why_annealing.course(100, 1.0)
    assert course.parts.shape == (4, 4)
    assert (course.parts[:, 1] <= math.log(2) + 1e-6).all()
    assert outcome.pictures["parts.png"][:4] == b"\x89PNG"


def test_tree_prior_is_judged_by_its_variables(monkeypatch):
    labels = np.array([[0, 1], [1, 2], [2, 0], [0, 2]])
    joint = labels[:, 0] * 3 + (labels[:, 1] + 1) % 3
    assert nvisa_tree_prior.both(joint, labels) == [1.0, 1.0]
    assert nvisa_tree_prior.both(np.zeros(4, int), labels)[0] == 0.5


@pytest.mark.slow
def test_tree_prior_runs(monkeypatch):
    short(monkeypatch, nvisa_tree_prior, PROBLEM=TwoFacets(2, 1, 8), K=2, ROWS=200)
    short(monkeypatch, nvisa_tree_prior, TREE={"name": "latent-tree", "states": [2, 2]})
    settings = {"latent": 2, "hidden": [8], "start": {"name": "autoencoder", "epochs": 3}}
    short(monkeypatch, nvisa_tree_prior, SETTINGS={**settings, "max_epochs": 2})
    found = figures(nvisa_tree_prior.nvisa_tree_prior(Run(seeds=(100,))))
    assert 0.5 <= found["mean ACC of the tree, the first clustering"].value <= 1


def test_features_run(monkeypatch):
    short(monkeypatch, nvisa_features, FEATURES=20, SIZES={3: (60, 2, 1)}, STDS=(0.3, 0.3))
    settings = {"latent": 2, "hidden": [8], "start": {"name": "autoencoder", "epochs": 2}}
    short(monkeypatch, nvisa_features, SETTINGS=settings)
    found = figures(nvisa_features.nvisa_features(Run(seeds=(100,))))
    assert found["mean ACC, K = 3"].target == 0.95
    assert found["mean ACC of the true posterior, K = 3"].value > 0.9
