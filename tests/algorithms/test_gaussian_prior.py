"""Maximum a posteriori steps, against scipy's densities."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import dirichlet, invwishart

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianPrior,
    gaussian_m_step,
    weak_prior,
)

SCALE = np.array([[2.0, 0.5], [0.5, 1.0]])
MODELS = {
    "full": CovarianceModel(0.0),
    "tied": CovarianceModel(0.0, to_tied=1.0),
    "diag": CovarianceModel(0.0, to_diagonal=1.0),
    "spherical": CovarianceModel(0.0, spherical=True),
}


def draws(n=40, seed=0):
    random = np.random.RandomState(seed)
    return random.randn(n, 2) * [1.0, 3.0], random.dirichlet(np.ones(2), n)


def test_the_density_is_scipy_s_up_to_a_constant():
    prior = GaussianPrior(3.0, SCALE, 5.0)
    points = [
        ([0.3, 0.7], np.array([np.eye(2), SCALE])),
        ([0.9, 0.1], np.array([SCALE, 3 * SCALE])),
    ]
    own = [prior.log_prob(np.array(w), c, tied=False) for w, c in points]
    true = [
        dirichlet([3, 3]).logpdf(w) + sum(invwishart(5, SCALE).logpdf(one) for one in c)
        for w, c in points
    ]
    assert own[0] - own[1] == pytest.approx(true[0] - true[1], abs=1e-9)
    both = np.array([SCALE, SCALE])
    flat = GaussianPrior(1.0, SCALE, 5.0)
    once = flat.log_prob(np.ones(2) / 2, both, tied=True)
    assert flat.log_prob(np.ones(2) / 2, both, tied=False) == pytest.approx(2 * once)


@pytest.mark.parametrize("kind", MODELS)
def test_the_step_is_the_mode(kind):
    """No small change of the parameters raises the expected log-density with the log-prior."""
    X, R = draws()
    prior, model = GaussianPrior(4.0, SCALE, 6.0), MODELS[kind]
    found = gaussian_m_step(X, R, model, prior)

    def objective(weights, covariances):
        centred = X[:, None] - found.means
        squares = np.einsum("nki,kij,nkj->nk", centred, np.linalg.inv(covariances), centred)
        log_prob = -0.5 * (squares + np.linalg.slogdet(covariances)[1])
        terms = (R * (log_prob + np.log(weights))).sum()
        return terms + prior.log_prob(weights, covariances, tied=kind == "tied")

    best = objective(found.weights, found.covariances)
    shapes = {"diag": np.diag([1.0, 0.0]), "spherical": np.eye(2)}
    direction = shapes.get(kind, np.array([[0.3, 0.2], [0.2, 0.1]]))
    for step in (1e-3, -1e-3):
        where = np.ones(2) if kind == "tied" else np.array([1.0, 0.0])
        moved = found.covariances + step * where[:, None, None] * direction
        assert objective(found.weights, moved) < best
        shifted = found.weights + np.array([step, -step])
        assert objective(shifted, found.covariances) < best
    line = minimize(lambda t: -objective(found.weights, found.covariances * np.exp(t)), 0.0)
    assert abs(line.x[0]) < 1e-4


def test_a_prior_outweighs_few_rows_and_yields_to_many():
    X, R = draws(4000)
    few = gaussian_m_step(X[:3], R[:3], MODELS["full"], GaussianPrior(1.0, 50 * SCALE, 47.0))
    many = gaussian_m_step(X, R, MODELS["full"], GaussianPrior(1.0, 50 * SCALE, 47.0))
    assert np.abs(few.covariances - SCALE).max() < 0.5
    assert np.abs(many.covariances[0] - np.diag([1, 9])).max() < 0.7


def test_the_weak_prior_shares_the_volume():
    X, _ = draws(1000)
    prior = weak_prior(X, 16)
    assert np.allclose(prior.scale, np.diag(X.var(0)) / 16)
    assert prior.degrees_of_freedom == 4
