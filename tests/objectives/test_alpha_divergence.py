"""Rényi's free energy of Gaussians, whose divergence is known, and its two gradients."""

import math

import pytest
import torch

from anabranch.distributions import DiagonalNormal, Normal
from anabranch.objectives import AlphaDivergence, ReverseKL
from tests.registry import seeded

LOG_Z = 1.5
MEAN, VARIANCE = 0.4, 1.3


def log_density(x):
    square = (x - MEAN).square() / VARIANCE
    return (-square / 2).sum(-1) - math.log(2 * math.pi * VARIANCE) / 2 + LOG_Z


def test_it_is_the_divergence_less_log_z():
    """Between normals: arXiv:1206.2459, table 2, with q first."""
    q = Normal(1)
    for alpha in (0.5, 0.9, 2.0):
        mixed = (1 - alpha) + alpha * VARIANCE  # (1 - a) s_q^2 + a s_p^2
        divergence = (
            0.5 * math.log(VARIANCE)
            + math.log(VARIANCE / mixed) / (2 * (alpha - 1))
            + alpha * MEAN**2 / (2 * mixed)
        )
        objective = AlphaDivergence(q, log_density, alpha=alpha).eval()
        found = objective({"draw": torch.zeros(200_000)}).total.item()
        assert found == pytest.approx(divergence - LOG_Z, abs=0.01)


def test_of_order_one_it_is_the_reverse_kl():
    batch = {"draw": torch.zeros(50)}
    one = AlphaDivergence(Normal(1), log_density, alpha=1.0).eval()(batch).total
    torch.testing.assert_close(one, ReverseKL(Normal(1), log_density).eval()(batch).total)


def gradient(q, alpha, doubly, n, repeats):
    objective = AlphaDivergence(q, log_density, alpha=alpha, doubly_reparameterised=doubly)
    source, found = seeded(1), []
    for _ in range(repeats):
        q.zero_grad()
        objective.train()({"draw": torch.zeros(n)}, generator=source).total.backward()
        found.append(torch.cat([p.grad.flatten() for p in q.parameters()]))
    return torch.stack(found)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_both_gradients_have_one_mean(alpha):
    q = DiagonalNormal(1)
    plain, doubly = (gradient(q, alpha, d, 8, 300) for d in (False, True))
    error = ((plain.var(0) + doubly.var(0)) / 300).sqrt()
    assert ((plain.mean(0) - doubly.mean(0)).abs() < 4 * error).all()
    assert (doubly.var(0) < plain.var(0)).all()


def test_where_q_is_p_the_doubly_reparameterised_one_vanishes():
    q = DiagonalNormal(1)
    objective = AlphaDivergence(q, Normal(1).log_prob, doubly_reparameterised=True)
    objective({"draw": torch.zeros(6)}, generator=seeded(0)).total.backward()
    assert all(p.grad.abs().max() < 1e-6 for p in q.parameters())


def test_wrong_arguments_are_refused_by_name():
    with pytest.raises(ValueError, match="alpha must be a finite number"):
        AlphaDivergence(Normal(1), log_density, alpha=math.inf)
    with pytest.raises(ValueError, match="component axis"):
        AlphaDivergence(Normal(1, batch_shape=(2,)), log_density)
