"""Beliefs about Gaussians, against draws of scipy's distributions and their limits."""

import numpy as np
import pytest
import torch
from scipy.stats import invwishart, multivariate_normal

from anabranch.functional.conjugate import NormalInverseWishart, dirichlet_log_weights

N = 20_000


def belief(shift=0.0, strength=2.0, dof=7.0):
    mean = torch.tensor([[1.0, -0.5]], dtype=torch.float64) + shift
    scatter = torch.tensor([[[3.0, 0.8], [0.8, 2.0]]], dtype=torch.float64) + shift * torch.eye(2)
    return NormalInverseWishart(
        mean, torch.tensor([strength]).double(), scatter, torch.tensor([dof]).double()
    )


def drawn(own, n, seed=0):
    """Means (n, 2) and covariances (n, 2, 2) of the belief."""
    random = np.random.RandomState(seed)
    covariances = invwishart(float(own.dof), own.scatter[0].numpy()).rvs(n, random_state=random)
    factors = np.linalg.cholesky(covariances / float(own.strength))
    means = own.mean[0].numpy() + (factors @ random.randn(n, 2, 1))[..., 0]
    return means, covariances


def log_density(own, means, covariances):
    of_scatter = invwishart(float(own.dof), own.scatter[0].numpy()).logpdf(
        np.moveaxis(covariances, 0, -1)
    )
    scaled = covariances / float(own.strength)
    apart = means - own.mean[0].numpy()
    squares = np.einsum("ni,nij,nj->n", apart, np.linalg.inv(scaled), apart)
    return of_scatter - 0.5 * (squares + np.linalg.slogdet(2 * np.pi * scaled)[1])


def close(values, expected):
    error = values.std(0) / len(values) ** 0.5
    assert (np.abs(values.mean(0) - expected) < 4 * error + 1e-12).all()


def test_expectations_are_those_of_draws():
    own = belief()
    means, covariances = drawn(own, N)
    inverse = np.linalg.inv(covariances)
    linear = np.einsum("nij,nj->ni", inverse, means)
    found = own.expected()
    close(inverse, found.precision[0].numpy())
    close(linear, found.linear[0].numpy())
    close((linear * means).sum(1), float(found.square))
    close(np.linalg.slogdet(covariances)[1], float(found.log_det))


def test_the_mean_log_density_is_that_of_draws_of_belief_and_code():
    own, random = belief(), np.random.RandomState(1)
    means, covariances = drawn(own, N)
    loc, scale = np.array([0.3, 0.9]), np.array([[0.5, 0.0], [0.2, 0.4]])
    z = loc + random.randn(N, 2) @ scale.T
    apart = z - means
    values = -0.5 * (
        np.einsum("ni,nij,nj->n", apart, np.linalg.inv(covariances), apart)
        + np.linalg.slogdet(2 * np.pi * covariances)[1]
    )
    moments = (torch.as_tensor(loc)[None, None], torch.as_tensor(scale @ scale.T)[None, None])
    close(values, float(own.expected().log_prob(*moments)))


def test_the_divergence_is_that_of_draws():
    own, other = belief(), belief(0.7, 0.5, 4.0)
    draws = drawn(own, N)
    close(log_density(own, *draws) - log_density(other, *draws), float(own.divergence(other)))
    assert float(own.divergence(own).abs()) < 1e-12


def test_natural_parameters_add_rows_up():
    """The textbook's posterior of a mean and a covariance after five rows."""
    prior, rows = belief(), torch.randn(5, 2, dtype=torch.float64)
    natural = prior.natural()
    second = natural.second + torch.einsum("ni,nj->ij", rows, rows)
    after = NormalInverseWishart.from_natural(
        natural._replace(
            first=natural.first + rows.sum(0),
            size=natural.size + 5,
            second=second,
            dof=natural.dof + 5,
        )
    )
    centre, apart = rows.mean(0), rows.mean(0) - prior.mean[0]
    spread = (rows - centre).mT @ (rows - centre) + 2.0 * 5 / 7 * torch.outer(apart, apart)
    torch.testing.assert_close(after.mean[0], (2 * prior.mean[0] + 5 * centre) / 7)
    torch.testing.assert_close(after.scatter[0], prior.scatter[0] + spread)
    assert (float(after.strength), float(after.dof)) == (7.0, 12.0)


def test_a_certain_belief_is_a_gaussian():
    covariance = torch.tensor([[[1.0, 0.3], [0.3, 0.5]]], dtype=torch.float64)
    many = torch.full((1,), 1e9, dtype=torch.float64)
    mean = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    sure = NormalInverseWishart(mean, many, covariance * many, many)
    z = torch.tensor([[[0.2, 1.1]]], dtype=torch.float64)
    found = sure.expected().log_prob(z, torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    expected = multivariate_normal(mean[0], covariance[0]).logpdf(z[0, 0])
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_log_weights_are_those_of_draws():
    counts = torch.tensor([0.5, 2.0, 4.0], dtype=torch.float64)
    draws = np.log(np.random.RandomState(0).dirichlet(counts.numpy(), N))
    close(draws, dirichlet_log_weights(counts).numpy())
