"""Gaussians times categories with missing cells, against conditionals worked out by hand."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from anabranch.algorithms.gaussians import CovarianceModel, GaussianParameters, gaussian_em
from anabranch.algorithms.mixed_gaussians import (
    Completion,
    MixedParameters,
    MixedRows,
    mixed_em,
    mixed_m_step,
)
from anabranch.algorithms.mixed_gaussians import patterns as patterns_module

D = 3


def truth(seed=0):
    random = np.random.RandomState(seed)
    roots = random.randn(2, D, D)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(D)
    gaussian = GaussianParameters(np.array([0.3, 0.7]), 4 * random.randn(2, D), covariances)
    return MixedParameters(gaussian, (np.array([[0.2, 0.8], [0.6, 0.4]]), np.ones((2, 3)) / 3))


def rows(mixture, n, share, seed=0):
    random = np.random.RandomState(seed)
    labels = random.choice(2, n, p=mixture.gaussian.weights)
    X = mixture.sample(labels, random)
    X[random.uniform(size=X.shape) < share] = np.nan
    return X, labels


def test_the_marginal_is_that_of_the_known_block():
    mixture = truth()
    X, _ = rows(mixture, 60, 0.4)
    joint = mixture.joint_log_prob(X)
    for row, found in zip(X, joint, strict=True):
        known = np.flatnonzero(~np.isnan(row[:D]))
        for k in range(2):
            expected = np.log(mixture.gaussian.weights[k])
            if len(known):
                mean = mixture.gaussian.means[k][known]
                block = mixture.gaussian.covariances[k][np.ix_(known, known)]
                expected += multivariate_normal(mean, block).logpdf(row[known])
            for code, table in zip(row[D:], mixture.factors, strict=True):
                expected += 0 if np.isnan(code) else np.log(table[k, int(code)])
            assert found[k] == pytest.approx(expected, abs=1e-9)


def test_many_patterns_are_taken_in_parts(monkeypatch):
    mixture = truth()
    X, _ = rows(mixture, 60, 0.4)
    expected = mixture.joint_log_prob(X)
    monkeypatch.setattr(patterns_module, "HELD", 2 * D * D)
    assert mixture.joint_log_prob(X) == pytest.approx(expected)
    again = Completion.of(mixture, X).draw(np.random.RandomState(0))
    monkeypatch.undo()
    whole = Completion.of(mixture, X).draw(np.random.RandomState(0))
    assert again == pytest.approx(whole, nan_ok=True)


def test_em_never_falls_and_finds_the_truth():
    mixture = truth()
    X, labels = rows(mixture, 4000, 0.25)
    fit = mixed_em(MixedRows(X, [2, 3]), np.eye(2)[labels], CovarianceModel(0.0), tol=1e-5)
    assert np.diff(fit.objectives).min() > -1e-4, "but for the pseudo-rows"
    assert fit.converged
    found = fit.parameters
    assert found.gaussian.means == pytest.approx(mixture.gaussian.means, abs=0.25)
    assert found.factors[0] == pytest.approx(mixture.factors[0], abs=0.04)
    ratio = np.linalg.det(found.gaussian.covariances) / np.linalg.det(mixture.gaussian.covariances)
    assert ratio == pytest.approx([1, 1], abs=0.25)


def test_ignoring_gaps_would_be_seen():
    """Filling missing cells with expectations alone shrinks variances: the extra term matters."""
    one = GaussianParameters(np.ones(1), np.zeros((1, 2)), np.array([[[1.0, 0.9], [0.9, 1.0]]]))
    X = MixedParameters(one).sample(np.zeros(5000, int), np.random.RandomState(0))
    X[np.random.RandomState(1).uniform(size=5000) < 0.5, 1] = np.nan
    fit = mixed_em(MixedRows(X), np.ones((5000, 1)), CovarianceModel(0.0), tol=1e-7)
    assert fit.parameters.gaussian.covariances[0] == pytest.approx(one.covariances[0], abs=0.06)


def test_whole_rows_give_the_steps_of_gaussians():
    X, labels = rows(truth(), 300, 0.0)
    model, R = CovarianceModel(1e-6), np.eye(2)[labels]
    mixed = mixed_em(MixedRows(X[:, :D]), R, model, max_iter=5, tol=0.0).parameters.gaussian
    plain = gaussian_em(X[:, :D], R, model, max_iter=5, tol=0.0)
    assert mixed.means == pytest.approx(plain.means, abs=1e-8)
    assert mixed.covariances == pytest.approx(plain.covariances, abs=1e-8)


def test_weights_are_repeated_rows():
    X, labels = rows(truth(), 200, 0.3)
    counts = np.random.RandomState(0).randint(1, 4, 200)
    model, R = CovarianceModel(1e-4), np.eye(2)[labels]
    many = mixed_em(MixedRows(X.repeat(counts, 0), [2, 3]), R.repeat(counts, 0), model)
    weighted = mixed_em(MixedRows(X, [2, 3], weights=counts.astype(float)), R, model)
    assert weighted.objectives == pytest.approx(many.objectives)
    assert weighted.parameters.gaussian.means == pytest.approx(many.parameters.gaussian.means)
    assert weighted.parameters.factors[1] == pytest.approx(many.parameters.factors[1])


def test_labelled_rows_keep_their_component():
    X, _ = rows(truth(), 200, 0.2)
    known = np.zeros((200, 2))
    known[:20, 1] = 1
    start = np.full((200, 2), 0.5)
    start[:20] = [0, 1]
    fit = mixed_em(MixedRows(X, [2, 3], known), start, CovarianceModel(1e-3), max_iter=3)
    assert len(fit.objectives) == 3


def test_categories_never_have_probability_zero():
    X = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 1.0], [9.1, 1.0]])
    found = mixed_m_step(MixedRows(X, [3]), np.eye(2)[[0, 0, 1, 1]], CovarianceModel(1.0))
    assert (found.factors[0] > 0).all()
    assert found.factors[0].sum(1) == pytest.approx([1, 1])


def test_draws_have_the_conditional_moments():
    mixture = truth()
    row = np.array([[0.5, np.nan, np.nan, 1.0, np.nan]])
    completion = Completion.of(mixture, row.repeat(20_000, 0))
    drawn = completion.draw(np.random.RandomState(0))
    assert (drawn[:, 0] == 0.5).all()
    assert np.isnan(drawn[:, 4]).all(), "categories are summed, not drawn"
    R = mixture.responsibilities(row)[0]
    means, squares = np.zeros(2), np.zeros((2, 2))
    for k in range(2):
        m, S = mixture.gaussian.means[k], mixture.gaussian.covariances[k]
        mean = m[1:] + S[1:, 0] / S[0, 0] * (0.5 - m[0])
        left = S[1:, 1:] - np.outer(S[1:, 0], S[0, 1:]) / S[0, 0]
        squares += R[k] * (left + np.outer(mean, mean))
        means += R[k] * mean
    assert drawn[:, 1:3].mean(0) == pytest.approx(means, abs=0.06)
    cov = squares - np.outer(means, means)
    assert np.cov(drawn[:, 1:3].T) == pytest.approx(cov, abs=0.05 * np.abs(cov).max())


def test_importance_weights_of_the_mixture_itself_are_constant():
    """log p(x_o, x_m) - log q(x_m | x_o) is log p(x_o) for every draw, where q is exact."""
    mixture = truth()
    X, _ = rows(mixture, 40, 0.4)
    completion = Completion.of(mixture, X)
    drawn, log_prob = completion.draws(8, np.random.RandomState(0))
    whole = mixture.log_prob(drawn.reshape(-1, D + 2)).reshape(-1, 8)
    known = mixture.log_prob(X[completion.gaps])
    assert whole - log_prob == pytest.approx(known[:, None].repeat(8, 1), abs=1e-6)
