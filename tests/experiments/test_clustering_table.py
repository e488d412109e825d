"""The table of deep clustering, in small."""

import math
import re

import numpy as np
import pytest

from anabranch.experiments import Run, clustering_table
from anabranch.experiments.clustering_table import METHODS, STARTS, Score

from .test_vmonf_mnist import bars

SMALL = {
    "rows": 500,
    "network": {"latent": 3, "hidden": (32,), "levels": 256},
    "DeepClustering": {"pretrain": {"epochs": 20}, "max_epochs": 5},
    "n_init": 2,
    "methods": {
        "mixae": {"model_options": {"latent": 1}},
        "gmgan": {"max_epochs": 40, "pretrain": None},
        "nvisa": {"start__epochs": 20, "max_epochs": 3, "objective__samples": 3},
        "nvisa, consistent": {
            "start__name": "invariant",
            "consistency__perturbation": "noise",
            "consistency__steps": 100,
            "max_epochs": 3,
        },
    },
}


@pytest.fixture
def _bars(monkeypatch):
    """The same small images in place of both data sets."""
    monkeypatch.setattr(clustering_table, "DATA", {"MNIST": "bars"})
    monkeypatch.setattr(clustering_table, "BUDGETS", {"cpu": SMALL})
    parts = {"train": bars(800, 0), "t10k": bars(200, 1)}
    monkeypatch.setattr(clustering_table, "images", lambda run, folder, part: parts[part])


@pytest.mark.slow
@pytest.mark.usefixtures("_bars")
def test_it_runs_in_small(capsys):
    outcome = clustering_table.clustering_table(Run(seeds=(0,)))
    values = {figure.name: figure for figure in outcome.figures}
    assert outcome.settings["errors"] == {}
    for method in METHODS:
        # a GAN takes more steps than this
        least = 0.5 if method == "gmgan" else 0.9
        assert values[f"MNIST: test ACC of {method}"].value >= least
        assert values[f"MNIST: seconds of {method}"].value > 0
    assert values["MNIST: ACC of dec above its k-means"].met
    assert values["MNIST: published ACC of vade"].value == 0.9446
    gain = values["MNIST: ACC of vade less that of gmvae"]  # neighbours in the published table
    vade, gmvae = (values[f"MNIST: test ACC of {method}"].value for method in ("vade", "gmvae"))
    assert (gain.value, gain.target) == (pytest.approx(vade - gmvae), 0)
    assert sum(": ACC of" in name and "less" in name for name in values) == 8
    assert values["fits that failed"].met
    lines = outcome.table.splitlines()
    names = [re.split(r"\s{2,}", line)[1] for line in lines[1:]]
    assert names == list(METHODS)
    assert lines[1 + METHODS.index("vade")].split()[-1] == "0.945"
    told = capsys.readouterr().err.splitlines()
    assert [line.split(", seed 0: ")[0] for line in told] == list(METHODS)


class Broken:
    """A method that has nothing but an error."""

    def __init__(self, n_components, *, method="nvisa", **settings):
        self.method = method

    def set_params(self, **settings):
        return self

    def fit(self, X):
        raise ZeroDivisionError(f"{self.method} divides")


@pytest.mark.usefixtures("_bars")
def test_a_method_that_fails_loses_itself_and_what_starts_from_it(monkeypatch):
    monkeypatch.setattr(clustering_table, "DeepClustering", Broken)
    monkeypatch.setattr(clustering_table, "DeepMixture", Broken)
    outcome = clustering_table.clustering_table(Run(seeds=(3, 4)))
    values = {figure.name: figure for figure in outcome.figures}
    assert values["MNIST: test ACC of k-means"].value > 0.9
    assert math.isnan(values["MNIST: test ACC of dec"].value)
    assert values["fits that failed"].value == 2 * (len(METHODS) - 1)
    assert not values["fits that failed"].met
    errors = outcome.settings["errors"]
    assert errors["MNIST, nvisa, seed 4"] == "ZeroDivisionError: nvisa divides"
    assert errors["MNIST, dec, seed 3"] == (
        "RuntimeError: there is nothing to start from, as ae+gmm failed"
    )


def test_means_are_those_of_the_fits_that_did_not_fail():
    some = [Score(0.5, 0.4, 0.45, 10.0), Score(error="no"), Score(0.7, 0.6, 0.75, 20.0)]
    row = clustering_table._row("MNIST", "dec", some)
    assert row == ["MNIST", "dec", 0.6, pytest.approx(0.1), 0.5, 0.5, 15.0, 1, 0.8430]
    values = {f.name: f.value for f in clustering_table._figures("MNIST", "dec", some)}
    assert values["MNIST: standard deviation of dec"] == pytest.approx(0.1)
    assert values["MNIST: ACC of dec above its k-means"] == pytest.approx(0.1)


def test_rows_are_chosen_by_the_seed_and_one_autoencoder_serves_all(monkeypatch):
    seen = []

    def watched(method, train, test, settings, seed, coders):
        seen.append((method, train[0], dict(coders)))
        return Score(seconds=float(len(seen))), method

    monkeypatch.setattr(clustering_table, "score", watched)
    train, test = bars(100, 0), bars(50, 1)
    for seed in (0, 0, 1):
        found = clustering_table.scores_of(train, test, {**SMALL, "rows": 40}, seed)
    own = [seen[i * len(METHODS)][1] for i in range(3)]
    assert [X.shape for X in own] == [(40, 64)] * 3
    assert (own[0] == own[1]).all()
    assert (own[0] != own[2]).any()
    assert seen[METHODS.index("dec")][2] == {"ae+gmm": "ae+gmm", "vae+gmm": "vae+gmm"}
    both = [2 * len(METHODS) + METHODS.index(method) + 1 for method in ("ae+gmm", "dec")]
    assert found["dec"].seconds == sum(both)
    assert set(STARTS.values()) <= {None, "ae+gmm", "vae+gmm"}
    assert np.isnan(found["dec"].before)
