"""Leapfrog steps against what is known of Hamiltonian dynamics."""

import pytest
import torch

from anabranch.functional import Phase, leapfrog, score
from tests.registry import seeded

STEP = torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64)


def log_density(z):
    return -0.25 * z.square().sum(-1).square() + torch.sin(z[..., 0])


def force(z):
    return score(log_density, z)


def phase(n=4):
    z, w = torch.randn(2, n, 3, generator=seeded(0), dtype=torch.float64)
    return Phase(z, w, force(z))


def test_momenta_turned_round_lead_back():
    start = phase()
    end = leapfrog(start, force, STEP, 20)
    back = leapfrog(end._replace(momentum=-end.momentum), force, STEP, 20)
    assert (end.z - start.z).abs().max() > 0.1
    torch.testing.assert_close(back.z, start.z, atol=1e-10, rtol=0)
    torch.testing.assert_close(back.momentum, -start.momentum, atol=1e-10, rtol=0)
    torch.testing.assert_close(end.force, force(end.z))


def test_volumes_are_kept():
    start = phase(1)

    def moved(joined):
        z, w = joined.split(3, -1)
        return torch.cat(leapfrog(Phase(z, w, force(z)), force, STEP, 5)[:2], -1)

    joined = torch.cat((start.z, start.momentum), -1)[0]
    jacobian = torch.autograd.functional.jacobian(lambda j: moved(j[None])[0], joined)
    assert abs(torch.linalg.det(jacobian).abs().item() - 1) < 1e-8
    assert (jacobian - torch.eye(6)).abs().max() > 0.1


def test_error_of_the_energy_falls_with_the_square_of_the_step():
    start = phase(50)

    def energy(at):
        return 0.5 * at.momentum.square().sum(-1) - log_density(at.z)

    errors = []
    for n in (40, 80):
        end = leapfrog(start, force, 0.8 / n, n)
        errors.append((energy(end) - energy(start)).abs().mean())
    assert (errors[0] / errors[1]).item() == pytest.approx(4, rel=0.1)


def test_each_step_takes_one_gradient():
    asked = []

    def counted(z):
        asked.append(z)
        return force(z)

    leapfrog(phase(), counted, STEP, 7)
    assert len(asked) == 7


def test_a_score_is_differentiable_where_gradients_are_wanted():
    z = torch.randn(4, 3, generator=seeded(0), dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def scaled(at):
        return -0.25 * scale * at.square().sum(-1).square()

    assert torch.autograd.gradcheck(lambda at: score(scaled, at), z)
    score(scaled, z.detach()).sum().backward()
    assert scale.grad is not None
    with torch.no_grad():
        assert not score(scaled, z).requires_grad
