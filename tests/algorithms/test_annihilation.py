"""Minimum message length, by hand and on mixtures whose number of components is known."""

import numpy as np
import pytest
import torch

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    annihilate,
    component_cost,
    message_length,
    mml_weights,
    weak_prior,
)
from anabranch.algorithms.gaussians.annihilation import without


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_half_the_parameters_are_taken_off_every_count(kind):
    weights = mml_weights(kind([50.0, 30.0, 4.0]), cost=10)
    assert type(weights) is type(kind([1.0]))
    assert weights.tolist() == pytest.approx([45 / 70, 25 / 70, 0.0])


def test_free_components_keep_their_share():
    assert mml_weights(np.array([3.0, 1.0]), cost=0).tolist() == [0.75, 0.25]


def test_where_none_is_worth_it_the_largest_stays():
    assert mml_weights(np.array([3.0, 4.0, 2.0]), cost=100).tolist() == [0.0, 1.0, 0.0]


def test_the_counts_are_left_as_they_are():
    counts = np.array([3.0, 4.0])
    mml_weights(counts, cost=100)
    assert counts.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("counts", [[0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_counts_that_are_none(counts):
    with pytest.raises(ValueError, match="counts must be numbers of rows"):
        mml_weights(np.array(counts), cost=1)


def test_the_length_by_hand():
    expected = (
        5 / 2 * (np.log(240 * 0.75 / 12) + np.log(240 * 0.25 / 12))  # parameters of each
        + (2 + 3) / 2 * np.log(240 / 12)  # weights and the shared ones
        + (2 * 6 + 3) / 2
        + 1234.5
    )
    length = message_length(-1234.5, [0.75, 0.0, 0.25], 240, cost=5, shared=3)
    assert length == pytest.approx(expected, abs=1e-9)


def test_few_rows_are_not_paid_for():
    few = message_length(0.0, [0.99, 0.01], 100, cost=10)
    fewer = message_length(0.0, [0.999, 0.001], 100, cost=10)
    assert fewer == pytest.approx(few, abs=0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cost": -1}, "cost must be"),
        ({"shared": -1}, "shared must be"),
        ({"weights": [0.5, 0.4]}, "weights must be non-negative with sum 1"),
        ({"n_rows": 0}, "n_rows must be at least 1"),
    ],
)
def test_lengths_that_cannot_be(change, said):
    settings = {"log_likelihood": 0.0, "weights": [0.5, 0.5], "n_rows": 10, "cost": 1, **change}
    with pytest.raises(ValueError, match=said):
        message_length(**settings)


MODELS = {
    "full": CovarianceModel(1e-6),
    "tied": CovarianceModel(1e-6, to_tied=1.0),
    "diag": CovarianceModel(1e-6, to_diagonal=1.0),
    "spherical": CovarianceModel(1e-6, spherical=True),
}


def corners(n=600, seed=100):
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 3
    return random.randn(n, 2) + np.array([[0, 0], [8, 0], [0, 8]])[labels]


def crowd(X, k=9, seed=0):
    means = X[np.random.RandomState(seed).choice(len(X), k, replace=False)]
    return GaussianParameters(np.full(k, 1 / k), means, np.tile(np.eye(2), (k, 1, 1)))


@pytest.mark.parametrize("kind", MODELS)
def test_three_of_nine_are_left(kind):
    X = corners()
    found = annihilate(X, crowd(X), MODELS[kind], prior=weak_prior(X, 9))
    assert len(found.parameters.weights) == 3
    assert np.abs(found.parameters.weights - 1 / 3).max() < 0.03
    assert np.abs(np.sort(found.parameters.means.sum(1)) - [0, 8, 8]).max() < 0.5
    assert np.abs(found.parameters.covariances - np.eye(2)).max() < 0.25
    assert found.converged
    assert min(found.lengths, key=found.lengths.get) == 3
    assert 1 in found.lengths


def test_the_length_is_half_of_bic():
    X = corners()
    found = annihilate(X, crowd(X), MODELS["full"], prior=weak_prior(X, 9))
    total = found.parameters.log_prob(X).sum()
    assert found.lengths[3] == pytest.approx(17 / 2 * np.log(600) - total, abs=1e-8)


def test_it_stops_where_it_is_told():
    X = corners()
    found = annihilate(X, crowd(X), MODELS["full"], prior=weak_prior(X, 9), min_components=4)
    assert min(found.lengths) >= 4
    hurried = annihilate(X, crowd(X), MODELS["full"], prior=weak_prior(X, 9), max_iter=1)
    assert not hurried.converged
    assert hurried.n_iter == len(hurried.lengths)


def test_costs():
    costs = {kind: component_cost(model, 3) for kind, model in MODELS.items()}
    assert costs == {"full": (9, 0), "tied": (3, 6), "diag": (6, 0), "spherical": (4, 0)}


def test_without_one():
    X = corners()
    mixture = crowd(X, 3)
    rest = without(mixture, 1)
    assert rest.weights.tolist() == [0.5, 0.5]
    assert (rest.means == mixture.means[[0, 2]]).all()
