"""Gaussian mixtures against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    gaussian_em,
    gaussian_m_step,
)

K = 3
TYPES = {
    "full": CovarianceModel(1e-6),
    "tied": CovarianceModel(1e-6, to_tied=1.0),
    "diag": CovarianceModel(1e-6, to_diagonal=1.0),
    "spherical": CovarianceModel(1e-6, spherical=True),
}


def rows(n=200, features=3, seed=0):
    random = np.random.RandomState(seed)
    mixing = random.randn(features, features)
    return random.randn(n, features) @ mixing + 3 * random.randn(K, features)[np.arange(n) % K]


def soft(n=200, seed=1):
    return np.random.RandomState(seed).dirichlet(np.ones(K), n)


def full_covariances(fitted, kind, features):
    covariances = fitted.covariances_
    if kind == "tied":
        return np.broadcast_to(covariances, (K, features, features))
    if kind == "diag":
        return np.array([np.diag(c) for c in covariances])
    if kind == "spherical":
        return np.array([c * np.eye(features) for c in covariances])
    return covariances


def precisions_of(parameters, kind):
    inverse = np.linalg.inv(parameters.covariances)
    return {
        "full": inverse,
        "tied": inverse[0],
        "diag": np.diagonal(inverse, axis1=1, axis2=2),
        "spherical": inverse[:, 0, 0],
    }[kind]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_are_those_of_scikit_learn(kind, steps):
    X = rows()
    start = gaussian_m_step(X, soft(), TYPES[kind])
    theirs = GaussianMixture(
        K,
        covariance_type=kind,
        max_iter=steps,
        tol=0.0,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=precisions_of(start, kind),
    )
    with pytest.warns(UserWarning, match="did not converge"):
        theirs.fit(X)
    ours = gaussian_em(X, soft(), TYPES[kind], max_iter=steps, tol=-np.inf)
    assert np.abs(ours.weights - theirs.weights_).max() < 1e-6
    assert np.abs(ours.means - theirs.means_).max() < 1e-6
    assert np.abs(ours.covariances - full_covariances(theirs, kind, 3)).max() < 1e-6
    assert np.allclose(ours.log_prob(X), theirs.score_samples(X), atol=1e-8)
    assert np.allclose(ours.responsibilities(X), theirs.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("features", [1, 2, 6])
def test_log_prob_is_scipy_s(features):
    X = rows(features=features)
    parameters = gaussian_m_step(X, soft(), TYPES["full"])
    joint = np.stack(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(X)
            for w, m, c in zip(
                parameters.weights, parameters.means, parameters.covariances, strict=True
            )
        ],
        axis=1,
    )
    assert np.allclose(parameters.joint_log_prob(X), joint, atol=1e-10)
    assert np.allclose(parameters.log_prob(X), logsumexp(joint, axis=1), atol=1e-10)
    R = parameters.responsibilities(X)
    assert np.allclose(R, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


@pytest.mark.parametrize("kind", ["full", "diag", "tied", "spherical"])
@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_never_falls(kind, seed):
    X = rows(seed=seed)
    distances = ((X[:, None] - X[None, :K]) ** 2).sum(2)
    start = np.eye(K)[distances.argmin(1)]
    changes = {"full": {}, "diag": {"to_diagonal": 1.0}, "tied": {"to_tied": 1.0}}
    model = CovarianceModel(0.0, **changes.get(kind, {"spherical": True}))
    runs = [gaussian_em(X, start, model, max_iter=n, tol=-np.inf) for n in range(25)]
    scores = [run.log_prob(X).mean() for run in runs]
    assert (np.diff(scores) > -1e-12).all()
    assert scores[-1] > scores[0] + 0.01


def test_the_gain_decides_when_to_stop():
    X = rows()
    early = gaussian_em(X, soft(), TYPES["full"], max_iter=500, tol=0.05)
    late = gaussian_em(X, soft(), TYPES["full"], max_iter=500, tol=1e-9)
    assert late.log_prob(X).mean() > early.log_prob(X).mean() + 0.01
    step = gaussian_em(X, late.responsibilities(X), TYPES["full"], max_iter=1, tol=-np.inf)
    assert np.abs(step.means - late.means).max() < 1e-2


def test_shrinkage_is_between_its_ends():
    X, R = rows(), soft()
    full = gaussian_m_step(X, R, CovarianceModel(0.0)).covariances
    weights = R.sum(0) / R.sum()
    tied = np.einsum("k,kij->ij", weights, full)
    for to_diagonal, to_tied, reg_covar in ((0.3, 0.6, 0.1), (1.0, 0.5, 0.0), (0.0, 0.0, 2.0)):
        model = CovarianceModel(reg_covar, to_diagonal=to_diagonal, to_tied=to_tied)
        mixed = (1 - to_tied) * full + to_tied * tied
        expected = mixed * ((1 - to_diagonal) + to_diagonal * np.eye(3)) + reg_covar * np.eye(3)
        assert np.allclose(gaussian_m_step(X, R, model).covariances, expected)


def test_an_empty_component_is_left_with_its_regularisation():
    X = rows()
    R = np.zeros((200, K))
    R[:, 0] = 1.0
    parameters = gaussian_em(X, R, CovarianceModel(1e-3))
    assert parameters.weights[0] == pytest.approx(1.0)
    assert np.isfinite(parameters.log_prob(X)).all()


def test_the_factor_is_lower_triangular():
    parameters = GaussianParameters(
        np.ones(1), np.zeros((1, 2)), np.array([[[4.0, 2.0], [2.0, 5.0]]])
    )
    assert np.allclose(parameters.scale_tril, [[[2.0, 0.0], [1.0, 2.0]]])
