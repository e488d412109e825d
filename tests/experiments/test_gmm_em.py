"""The experiment on Gaussian mixtures in small."""

import numpy as np
import pytest

from anabranch.estimators import GaussianMixture
from anabranch.experiments import Run, gmm_em


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(gmm_em, "ROWS", 1500)
    monkeypatch.setattr(gmm_em, "FOUR_ROWS", 400)
    monkeypatch.setattr(gmm_em, "STARTS", 1)


def test_it_runs_and_meets_its_targets(small):
    outcome = gmm_em.gmm_em(Run(seeds=(100,)))
    figures = {figure.name: figure for figure in outcome.figures}
    assert figures["largest difference to scikit-learn"].met
    assert figures["largest fall of the log-likelihood, nats"].met
    assert figures["share of seeds in which BIC finds 3 of 1..6"].value == 1
    assert figures["share of seeds that end with 4 from 12"].value == 1
    assert outcome.pictures["found.png"].startswith(b"\x89PNG")
    assert len(outcome.table.splitlines()) == 2


def test_weights_are_matched_by_their_means():
    mixture = GaussianMixture(3)
    order = [2, 0, 1]
    mixture.means_ = gmm_em.THREE.means[order] + 0.1
    mixture.weights_ = gmm_em.THREE.weights[order] + np.array([0.03, 0.0, -0.03])
    assert gmm_em.weight_error(mixture) == pytest.approx(0.03)


def test_a_fall_is_seen(monkeypatch):
    class Falling(GaussianMixture):
        def fit(self, X, y=None):
            self.lower_bounds_ = [0.0, 1.0, 0.75, 2.0]
            return self

    monkeypatch.setattr(gmm_em, "GaussianMixture", Falling)
    assert gmm_em.largest_fall(np.zeros((2, 2)), "full", 0) == 0.25
