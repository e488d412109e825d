"""Annealed importance sampling from both ends, against likelihoods that are known."""

import numpy as np
import pytest
import torch

from anabranch.algorithms.annealed_importance import AnnealedImportance, AnnealingPath
from anabranch.functional import standard_normal_log_prob
from anabranch.problems import LinearGaussian
from tests.registry import seeded

HOW = AnnealedImportance(temperatures=100)
CHAINS = 400


def linear_gaussian(row):
    problem = LinearGaussian()
    x, _ = problem.sample(8, random_state=0)
    loadings, offset = torch.as_tensor(problem.loadings), torch.as_tensor(problem.offset)

    def log_likelihood(z):
        noise = (torch.as_tensor(x[row]) - z @ loadings.mT - offset) / problem.noise_std
        return standard_normal_log_prob(noise) - 3 * np.log(problem.noise_std)

    covariance = np.linalg.inv(problem.latent_precision())
    factor = torch.as_tensor(np.linalg.cholesky(covariance))
    noise = torch.randn(CHAINS, 2, generator=seeded(5), dtype=torch.float64)
    exact = torch.as_tensor(problem.latent_mean(x[row : row + 1])) + noise @ factor.mT
    path = AnnealingPath(standard_normal_log_prob, log_likelihood)
    return path, exact, problem.log_prob(x[row : row + 1])[0]


def both_ways(path, exact):
    starts = torch.randn(2, CHAINS, 2, generator=seeded(0), dtype=torch.float64)
    steps = HOW.tuned(path, starts[0], seeded(1))
    forward = HOW.forward(path, starts[1], steps, seeded(2))
    return forward, HOW.backward(path, exact, steps, seeded(3))


def check_means(forward, backward, truth):
    """Both ends know the normaliser to a few percent, as well as their weights say."""
    for found, sign in ((forward, 1), (backward, -1)):
        weights = torch.exp(found.log_weights - sign * truth)  # of mean one
        error = weights.std() / CHAINS**0.5
        assert 0 < error < 0.05
        assert abs(weights.mean() - 1) < 3 * error


@pytest.mark.parametrize("row", range(2))
def test_both_ends_meet_at_the_likelihood_of_a_linear_gaussian(row):
    path, exact, truth = linear_gaussian(row)
    forward, backward = both_ways(path, exact)
    check_means(forward, backward, truth)
    assert forward.log_weights.mean() < truth < -backward.log_weights.mean()
    assert ((forward.accepted[5:] > 0.4) & (forward.accepted[5:] < 0.95)).all()


def test_chains_end_at_draws_of_the_posterior():
    path, exact, _ = linear_gaussian(0)
    forward, _ = both_ways(path, exact)
    share = torch.softmax(forward.log_weights, 0)
    mean = (share[:, None] * forward.z).sum(0)
    torch.testing.assert_close(mean, exact.mean(0), atol=0.1, rtol=0)


@pytest.mark.parametrize("place", ["steps", "order"])
def test_weights_are_unbiased_however_bad_the_moves(place):
    path, _, truth = linear_gaussian(0)
    n = HOW.temperatures - 1
    steps = torch.full((n,), 2.0) if place == "steps" else torch.linspace(0.01, 1.0, n)
    z = torch.randn(4000, 2, generator=seeded(0), dtype=torch.float64)
    weights = torch.exp(HOW.forward(path, z, steps.double(), seeded(2)).log_weights - truth)
    assert abs(weights.mean() - 1) < 3 * weights.std() / 4000**0.5


def test_one_temperature_is_importance_sampling_from_the_base():
    path, _, _ = linear_gaussian(0)
    z = torch.randn(50, 2, generator=seeded(0), dtype=torch.float64)
    found = AnnealedImportance(1).forward(path, z, z.new_zeros(0))
    torch.testing.assert_close(found.log_weights, path.tilt(z))


def test_more_temperatures_tighten_the_bound():
    path, _, truth = linear_gaussian(1)
    lacks = []
    for n in (2, 10, 50):
        how = AnnealedImportance(n)
        z = torch.randn(2, CHAINS, 2, generator=seeded(0), dtype=torch.float64)
        steps = how.tuned(path, z[0], seeded(1))
        lacks.append(truth - how.forward(path, z[1], steps, seeded(2)).log_weights.mean())
    assert lacks[0] > 2 * lacks[1] > 4 * lacks[2] > 0


@pytest.mark.slow
def test_a_binary_decoder_lies_in_the_sandwich_of_its_bits():
    network = torch.randn(5, 2, generator=seeded(7), dtype=torch.float64) * 2
    bits = torch.tensor([[1.0, 0, 1, 1, 0]], dtype=torch.float64)

    def log_likelihood(z, x=bits):
        logits = torch.tanh(z) @ network.mT
        return (x * logits - torch.nn.functional.softplus(logits)).sum(-1)

    line = torch.linspace(-8, 8, 400, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    cell = 2 * (line[1] - line[0]).log()
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 5)
    prior = standard_normal_log_prob(grid)
    total = sum((log_likelihood(grid, x) + prior).logsumexp(0).exp() for x in every) * cell.exp()
    assert total == pytest.approx(1, abs=1e-6)  # the quadrature is exact
    joint = log_likelihood(grid) + prior
    truth = joint.logsumexp(0) + cell
    drawn = torch.multinomial(torch.softmax(joint, 0), CHAINS, True, generator=seeded(8))
    path = AnnealingPath(standard_normal_log_prob, log_likelihood)
    forward, backward = both_ways(path, grid[drawn])
    check_means(forward, backward, truth)
    assert forward.log_weights.mean() < truth < -backward.log_weights.mean()


def test_what_cannot_be_is_refused():
    path, exact, _ = linear_gaussian(0)
    with pytest.raises(ValueError, match="temperatures must be an integer of at least 1, got 0"):
        AnnealedImportance(0)
    with pytest.raises(ValueError, match=r"steps must have shape \(99,\), got \(3,\)"):
        HOW.forward(path, exact, torch.ones(3))
