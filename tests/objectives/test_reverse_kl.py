"""The free energy of distributions whose divergence is known."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from anabranch.distributions import DiagonalNormal, Normal
from anabranch.models import planar
from anabranch.objectives import ReverseKL
from tests.registry import perturb, seeded

LOG_Z = 2.5
TARGET = MultivariateNormal(torch.ones(2), torch.tensor([[1.0, 0.6], [0.6, 2.0]]))
BATCH = {"draw": torch.zeros(20_000)}


def log_density(x):
    return TARGET.log_prob(x) + LOG_Z


def test_it_is_the_divergence_less_log_z():
    q = perturb(DiagonalNormal(2), std=0.5)
    loc, log_scale = (p.detach().flatten() for p in (q.loc, q.log_scale))
    scale = (5 * torch.tanh(log_scale / 5)).exp()
    expected = kl_divergence(MultivariateNormal(loc, torch.diag(scale.square())), TARGET) - LOG_Z
    loss = ReverseKL(q, log_density).eval()(BATCH)
    assert loss.total.item() == pytest.approx(expected.item(), abs=0.05)
    assert loss.terms["free_energy"] == loss.total


def test_beta_tempers_the_target_in_training_only():
    objective = ReverseKL(Normal(2), log_density)
    objective.beta.fill_(0.0)
    entropy = 1.0 + torch.tensor(2 * torch.pi).log()
    assert objective.train()(BATCH).total.item() == pytest.approx(-entropy.item(), abs=0.03)
    before = objective.eval()(BATCH).total
    objective.beta.fill_(1.0)
    assert torch.equal(objective(BATCH).total, before)


def test_draws_are_fresh_in_training_and_fixed_in_evaluation():
    objective, source = ReverseKL(Normal(2), log_density, seed=3), seeded(3)
    assert objective.stochastic
    first, second = (objective.train()(BATCH, generator=source).total for _ in range(2))
    assert first != second
    fixed, again = (objective.eval()(BATCH, generator=source).total for _ in range(2))
    assert torch.equal(fixed, again)
    assert torch.equal(first, objective.train()(BATCH, generator=seeded(3)).total)


def test_it_touches_no_global_generator():
    before = torch.get_rng_state()
    ReverseKL(Normal(2), log_density)(BATCH, generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_components_have_terms_of_their_own():
    flow = perturb(planar(2, n_layers=2, inverse=True, batch_shape=(3,), seed=0))
    loss = ReverseKL(flow, log_density).eval()({"draw": torch.zeros(50)})
    assert list(loss.terms) == ["free_energy_0", "free_energy_1", "free_energy_2"]
    assert loss.total.item() == pytest.approx(sum(loss.terms.values()).item() / 3)
    assert len(set(loss.terms.values())) == 3


def test_gradients_are_those_of_the_divergence():
    """Of the mean of a unit normal: d KL / d loc = precision (loc - mean)."""
    q = DiagonalNormal(2)
    ReverseKL(q, log_density)({"draw": torch.zeros(200_000)}).total.backward()
    expected = TARGET.precision_matrix @ (torch.zeros(2) - TARGET.mean)
    torch.testing.assert_close(q.loc.grad.flatten(), expected, atol=0.02, rtol=0.0)
