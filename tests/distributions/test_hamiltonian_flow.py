"""Hamiltonian and Langevin flows against closed forms."""

import math

import pytest
import torch

from anabranch.distributions import DiagonalNormal, HamiltonianFlow
from anabranch.objectives import ReverseKL
from anabranch.problems import Energy
from tests.registry import perturb, seeded

U1 = Energy("U1")
LANGEVIN = {"n_steps": 1, "learn_reverse": False}


def energy(z, context):
    return U1.log_density(z)


def gaussian(z, context):
    """A normal of standard deviations 1 and 2, at 0 and 1, times e^3."""
    std, loc = z.new_tensor([1.0, 2.0]), z.new_tensor([0.0, 1.0])
    squares = ((z - loc) / std).square().sum(-1)
    return 3.0 - 0.5 * squares - math.log(2 * math.pi) - math.log(2.0)


def flow(target, **settings):
    return HamiltonianFlow(DiagonalNormal(2), target, hidden=(8,), generator=seeded(0), **settings)


@pytest.mark.parametrize("settings", [{"n_steps": 3}, {**LANGEVIN, "n_rounds": 4}])
@torch.no_grad()
def test_weights_are_unbiased_whatever_the_parameters(settings):
    q = perturb(flow(gaussian, **settings), std=0.3)
    q.base.log_scale.fill_(1.0)  # as wide as the target: else weights have no variance to speak of
    z, log_q = q.sample_and_log_prob(40_000, generator=seeded(1))
    w = torch.exp(gaussian(z, None) - log_q - 3.0).double()
    assert abs(w.mean() - 1) < 4 * w.std() / 200
    assert w.std() < 20


@pytest.mark.parametrize("settings", [{"n_steps": 3}, {**LANGEVIN, "n_rounds": 2}])
@torch.no_grad()
def test_log_prob_estimates_the_density_of_the_draws(settings):
    """The mean of exp(log_prob) over momenta is the density: compared with a histogram."""
    q = perturb(flow(gaussian, **settings), std=0.2)
    z = q.sample(200_000, generator=seeded(1))
    at, width = torch.tensor([[0.0, 0.5], [0.5, 0.0]]), 0.3
    for point in at:
        share = ((z - point).abs() < width / 2).all(-1).double().mean()
        cell = point + width * (torch.rand(4000, 2, generator=seeded(3)) - 0.5)
        density = q.log_prob(cell, generator=seeded(2)).double().exp()
        expected = share / width**2
        error = (expected / (width**2 * 200_000)) ** 0.5 + density.std() / 4000**0.5
        assert abs(density.mean() - expected) < 4 * error


@torch.no_grad()
def test_langevin_moments_are_those_of_the_discrete_ornstein_uhlenbeck_process():
    step, rounds = 0.6, 3
    q = HamiltonianFlow(
        DiagonalNormal(1), lambda z, c: -0.5 * z.square().sum(-1) / 4, step=step, n_rounds=rounds,
        **LANGEVIN,
    ).double()  # fmt: skip
    q.base.loc.fill_(2.0)
    z = q.sample(100_000, generator=seeded(0))
    mean, variance = 2.0, 1.0
    for _ in range(rounds):
        mean *= 1 - step**2 / 8
        variance = variance * (1 - step**2 / 8) ** 2 + step**2
    assert z.mean().item() == pytest.approx(mean, abs=4 * (variance / 1e5) ** 0.5)
    assert z.var().item() == pytest.approx(variance, rel=0.03)


@torch.no_grad()
def test_more_rounds_of_langevin_bring_the_draws_nearer():
    """At a fixed step the marginal mean and the bound come nearer to the target."""
    distances, bounds = [], []
    for rounds in (1, 4, 16):
        q = flow(gaussian, step=0.5, n_rounds=rounds, **LANGEVIN)
        q.base.loc.fill_(3.0)
        z, log_q = q.sample_and_log_prob(20_000, generator=seeded(0))
        distances.append((z.mean(0) - torch.tensor([0.0, 1.0])).abs().max().item())
        bounds.append((gaussian(z, None) - log_q).mean().item())
    assert distances[0] > distances[1] > distances[2]
    assert bounds[0] < bounds[1] < bounds[2] < 3.0


def test_free_energy_is_above_the_true_one_and_is_minimised():
    q = flow(energy, n_steps=4)
    objective = ReverseKL(q, U1.log_density)
    before = objective.eval()({"draw": torch.zeros(2000)}).total.item()
    optimiser = torch.optim.Adam(q.parameters(), 2e-2)
    objective.train()
    for i in range(80):
        optimiser.zero_grad()
        objective({"draw": torch.zeros(64)}, generator=seeded(i)).total.backward()
        optimiser.step()
    after = objective.eval()({"draw": torch.zeros(2000)}).total.item()
    assert -U1.log_z() - 0.02 < after < before - 1


def test_without_momenta_the_centre_climbs():
    q = flow(gaussian, n_steps=5)
    with torch.no_grad():
        q.base.loc.fill_(3.0)
        start, centre = torch.full((1, 2), 3.0), q.centre()
    assert gaussian(centre, None) > gaussian(start, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_steps": 0}, "n_steps"), ({"n_rounds": 0}, "n_rounds"), ({"step": 0.0}, "step")],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        flow(gaussian, **settings)
