"""Distributions on spheres against scipy and closed forms."""

import math

import pytest
import torch
from scipy import stats

from anabranch.distributions import Kent, VonMises, VonMisesFisher
from anabranch.functional.sphere import log_kent_integral, log_vmf_integral, unit
from anabranch.models import exponential_map_flow, sphere_flow
from anabranch.transforms import ExponentialMap, RecursiveSphere
from tests.battery import same
from tests.registry import perturb, seeded

KAPPAS = torch.tensor([0.05, 1.0, 30.0, 1e5], dtype=torch.float64)


@pytest.mark.parametrize("features", [2, 3, 4])
def test_von_mises_fisher_is_that_of_scipy(features):
    vmf = VonMisesFisher(features, concentration=7.0, generator=seeded(0)).double()
    mu = unit(vmf.direction).detach().numpy().ravel()
    x = unit(torch.randn(20, features, generator=seeded(1), dtype=torch.float64))
    truth = stats.vonmises_fisher(mu, 7.0).logpdf(x.numpy())
    same(vmf.log_prob(x).detach(), torch.as_tensor(truth), 1e-9)


def test_von_mises_is_that_of_scipy():
    law = VonMises(concentration=3.0, generator=seeded(0)).double()
    mu = torch.atan2(*law.plane.direction.detach().flip(-1).unbind(-1)).item()
    x = torch.linspace(0, 6.2, 20, dtype=torch.float64).unsqueeze(-1)
    truth = stats.vonmises(3.0, loc=mu).logpdf(x.numpy()).ravel()
    same(law.log_prob(x).detach(), torch.as_tensor(truth), 1e-9)


def test_integral_of_the_round_kent_distribution_is_in_closed_form():
    same(log_kent_integral(KAPPAS, 0 * KAPPAS), log_vmf_integral(KAPPAS, 3), 1e-9)


def test_integral_of_a_narrow_kent_distribution_is_that_of_a_normal():
    kappa, beta = torch.tensor([1e6]).double(), torch.tensor([3e5]).double()
    plane = math.log(2 * math.pi) - 0.5 * (kappa.square() - 4 * beta.square()).log()
    same(log_kent_integral(kappa, beta), plane, 1e-5)


def test_single_precision_keeps_narrow_distributions():
    wide = VonMisesFisher(3, concentration=1e5, generator=seeded(0))
    x = wide.sample(200, generator=seeded(1))
    same(wide.log_prob(x).double().detach(), wide.double().log_prob(x.double()).detach(), 2e-2)


def test_kent_draws_have_its_precisions():
    kent = Kent(concentration=1e4, generator=seeded(0)).double()
    with torch.no_grad():
        kent.log_precisions[1] += math.log(4.0)
        _, _, frame = kent._shape()
        side = (kent.sample(4000, generator=seeded(1)) @ frame)[:, 1:]
    same(1e4 * side.square().mean(0), torch.tensor([1.0, 0.25]).double(), 0.1)


def test_poles_are_points_like_others():
    transform = perturb(RecursiveSphere(4, hidden=(4,)), std=0.3).double()
    poles = torch.cat((torch.eye(4), -torch.eye(4))).double().requires_grad_()
    z, term = transform.encode(poles)
    same(z.square().sum(-1), torch.ones(8).double(), 1e-9)
    (z.sum() + term.sum()).backward()
    assert poles.grad is not None
    assert poles.grad.isfinite().all()
    assert term.isfinite().all()


def test_layers_start_at_the_uniform_distribution():
    x = unit(torch.randn(10, 3, generator=seeded(0)))
    level = -math.log(4 * math.pi)
    same(sphere_flow(3, seed=0).log_prob(x).detach(), torch.full((10,), level), 1e-5)
    transform = ExponentialMap(3, terms=0)
    same(transform.encode(x)[0].detach(), x, 1e-6)


def test_walks_are_undone_far_from_the_identity():
    flow = perturb(exponential_map_flow(3, terms=2, n_layers=4, seed=0), std=2.0).double()
    x, log_prob = flow.sample_and_log_prob(300, generator=seeded(0))
    same(flow.log_prob(x).detach(), log_prob, 1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VonMisesFisher(5), "features must be 2, 3 or 4, got 5"),
        (lambda: VonMisesFisher(3, concentration=0.0), "must be positive, got 0.0"),
        (lambda: Kent(bound=-1.0), "must be positive, got 1.0 and -1.0"),
        (lambda: RecursiveSphere(1), "at least 2 features, got 1"),
        (lambda: ExponentialMap(2), "features must be at least 3"),
        (lambda: sphere_flow(3, circle_map="sine"), "circle_map must be one of"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
