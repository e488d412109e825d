"""Columns where others are known, of mixtures: against the exact Gaussians, and by integration."""

import numpy as np
import pytest
from scipy import stats

from anabranch import FlowMixture
from anabranch.algorithms.gaussians import GaussianParameters, conditional_draws

RNG = np.random.RandomState(0)
X = np.concatenate(
    [
        RNG.randn(150, 3) @ np.array([[1.0, 0.8, 0.0], [0, 0.5, 0.3], [0, 0, 1.0]]),
        RNG.randn(150, 3) + 4,
    ]
)

START = {
    "covariance_type": "full",
    "init_params": "kmeans",
    "random_state": 0,
    "model_options": {"contamination": 0.0},
}


@pytest.fixture(scope="module")
def gaussians():
    return FlowMixture(2, flow=None, max_epochs=0, **START).fit(X)


@pytest.fixture(scope="module")
def flows():
    options = {"validation_fraction": 0.2, "keep": "last"}
    flow = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
    return FlowMixture(2, flow=flow, max_epochs=3, fit_options=options, **START).fit(X)


def test_of_gaussian_components_it_is_exact(gaussians):
    assert gaussians.contamination_ == 0
    told = gaussians.conditional([0, 2], [0.5, 0.2], n_samples=500)
    np.testing.assert_allclose(told.weights, 1 / 500, rtol=1e-4)
    assert told.effective_sample_size == pytest.approx(500, rel=1e-4)
    assert (told.samples[:, [0, 2]] == [0.5, 0.2]).all()
    grid = np.linspace(-15, 15, 20001)
    rows = np.stack([np.full_like(grid, 0.5), grid, np.full_like(grid, 0.2)], 1)
    density = np.exp(gaussians.score_samples(rows))
    step = grid[1] - grid[0]
    assert told.log_marginal == pytest.approx(np.log(density.sum() * step), abs=1e-4)
    cumulative = np.cumsum(density) / density.sum()
    drawn = told.samples[:, 1]
    assert stats.kstest(drawn, lambda t: np.interp(t, grid, cumulative)).pvalue > 1e-3
    marginal = gaussians.score_marginal(X[:3, [1]], [1])
    each = [gaussians.conditional([1], row[[1]], n_samples=5).log_marginal for row in X[:3]]
    np.testing.assert_allclose(marginal, each, rtol=1e-5)


def test_of_flows_it_is_what_integration_says(flows):
    grid = np.linspace(-12, 16, 3001)
    for known in (0.0, 4.0):
        told = flows.conditional([0, 2], [known, known], n_samples=4000)
        assert 400 < told.effective_sample_size <= 4000
        rows = np.stack([np.full_like(grid, known), grid, np.full_like(grid, known)], 1)
        density = np.exp(flows.score_samples(rows))
        step = grid[1] - grid[0]
        assert told.log_marginal == pytest.approx(np.log(density.sum() * step), abs=0.1)
        mean = (grid * density).sum() / density.sum()
        error = np.sqrt(np.var(told.samples[:, 1]) / told.effective_sample_size)
        assert abs(told.mean()[1] - mean) < 4 * error
    found = flows.score_marginal([[0.0, 0.0], [4.0, 4.0]], [0, 2], n_samples=2000)
    assert found[1] == pytest.approx(told.log_marginal, abs=0.15)


def test_a_density_far_from_its_proposal_is_found_in_rounds():
    """The Gaussians move: with draws of the first round alone hardly one would count."""
    proposal = GaussianParameters(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    density = stats.multivariate_normal([4.0, 0.0], np.diag([0.05, 1.0]))
    told = conditional_draws(
        density.logpdf,
        proposal,
        np.array([1]),
        np.array([0.3]),
        n=4000,
        random_state=np.random.RandomState(1),
    )
    assert told.effective_sample_size > 1000
    assert told.log_marginal == pytest.approx(stats.norm.logpdf(0.3), abs=0.05)
    assert told.mean()[0] == pytest.approx(4.0, abs=0.03)
    assert len(told.resampled(7, np.random.RandomState(0))) == 7


@pytest.mark.parametrize(
    ("columns", "values", "word"),
    [
        ([], [], "columns"),
        ([3], [0.0], "columns"),
        ([0, 1, 2], [0, 0, 0], "leave one"),
        ([0], [np.nan], "finite"),
        ([0], [1.0, 2.0], "values"),
    ],
)
def test_wrong_columns_are_refused(gaussians, columns, values, word):
    with pytest.raises(ValueError, match=word):
        gaussians.conditional(columns, values)
