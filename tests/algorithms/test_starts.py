"""Starts: the best Gaussian mixture on validation rows, whatever the rows are like."""

import warnings

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from anabranch.algorithms.gaussians import (
    StartOptions,
    em_start,
    hard_start,
    kmeans_responsibilities,
    random_responsibilities,
)


def data(n=300, features=4, seed=0):
    random = np.random.RandomState(seed)
    centers = 4 * np.random.RandomState(99).randn(3, features)
    return centers[np.arange(n) % 3] + random.randn(n, features), np.arange(n) % 3


def state():
    return np.random.RandomState(0)


def test_kmeans_finds_clusters_on_some_rows_and_assigns_all():
    X, labels = data()
    R = kmeans_responsibilities(X, np.arange(0, 300, 2), StartOptions(3), state())
    assert set(np.unique(R)) == {0.0, 1.0}
    assert (R.sum(1) == 1).all()
    assert all(len(set(R[labels == k].argmax(1))) == 1 for k in range(3))


def test_kmeans_sees_leading_components_of_wide_data():
    """Sixty columns of noise beside four that tell: the noise is smaller, and is left out."""
    X, labels = data()
    wide = np.concatenate([X, 0.1 * np.random.RandomState(1).randn(300, 60)], axis=1)
    R = kmeans_responsibilities(wide, np.arange(300), StartOptions(3, n_principal=4), state())
    assert all(len(set(R[labels == k].argmax(1))) == 1 for k in range(3))


def test_random_assignments_are_to_the_nearest_of_rows():
    X, _ = data()
    R = random_responsibilities(X, np.arange(300), StartOptions(3), state())
    assert (R.sum(1) == 1).all()
    centres = [X[i] for i in state().choice(np.arange(300), 3, replace=False)]
    nearest = np.array([((X - c) ** 2).sum(1) for c in centres]).argmin(0)
    assert (R.argmax(1) == nearest).all()
    other = random_responsibilities(X, np.arange(300), StartOptions(3), np.random.RandomState(1))
    assert (other != R).any()


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_given_covariance_type_is_scikit_learn_s_mixture(kind):
    X, _ = data()
    R = kmeans_responsibilities(X, np.arange(300), StartOptions(3), state())
    start = em_start(X, X, R, StartOptions(3, covariance_type=kind), state())
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    assert start.name == f"em/{kind}"
    assert np.allclose(start.parameters.log_prob(X), fitted.score_samples(X), atol=0.05)
    off = start.parameters.covariances * (1 - np.eye(4))
    assert (np.abs(off).max() == 0) == (kind in ("diag", "spherical"))


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_the_choice_is_not_worse_than_any_type(n):
    X, _ = data(n)
    V, _ = data(500, seed=5)
    R = kmeans_responsibilities(X, np.arange(n), StartOptions(3), state())
    start = em_start(X, V, R, StartOptions(3), state())
    scores = [
        GaussianMixture(3, covariance_type=kind, reg_covar=1e-3, random_state=0).fit(X).score(V)
        for kind in ("full", "tied", "diag", "spherical")
    ]
    assert start.parameters.log_prob(V).mean() >= max(scores) - 0.05


@pytest.mark.parametrize("make", [hard_start, em_start])
@pytest.mark.parametrize(
    "X",
    [
        np.repeat([[0.0, 0.0], [1.0, 3.0]], 30, axis=0),
        np.zeros((20, 2)),
        np.arange(8.0).reshape(4, 2),
        np.stack([np.arange(60.0), 2 * np.arange(60.0)], 1),
    ],
    ids=["fewer distinct rows than clusters", "one distinct row", "four rows", "a line"],
)
def test_degenerate_rows(make, X):
    options = StartOptions(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        R = kmeans_responsibilities(X, np.arange(len(X)), options, state())
        last = {"name": "kmeans"} if make is hard_start else {"random_state": state()}
        start = make(X=X, V=X, R=R, options=options, **last)
    assert np.isfinite(start.score)
    assert np.isfinite(start.parameters.log_prob(X)).all()
    assert start.parameters.weights.sum() == pytest.approx(1.0)
    assert (np.linalg.eigvalsh(start.parameters.covariances) > 0).all()


def test_nothing_can_be_fitted_to_infinite_scores():
    X, _ = data()
    V = np.full((5, 4), 1e200)
    R = kmeans_responsibilities(X, np.arange(300), StartOptions(3), state())
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(ValueError, match="no Gaussian mixture could be fitted to 300 rows of 4"),
    ):
        hard_start("kmeans", X, V, R, StartOptions(3))


def test_the_same_source_gives_the_same_start():
    X, _ = data()
    starts = []
    for _ in range(2):
        R = kmeans_responsibilities(X, np.arange(300), StartOptions(3), state())
        starts.append(em_start(X, X, R, StartOptions(3), state()).parameters)
    assert (starts[0].means == starts[1].means).all()
    assert (starts[0].covariances == starts[1].covariances).all()
