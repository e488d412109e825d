"""The integrals of the targets on tori and spheres."""

import math

import pytest
import torch
from tests.battery import same
from tests.registry import seeded

from anabranch.problems import Arm, ManifoldTarget


@pytest.mark.parametrize("name", ["unimodal", "multimodal", "correlated"])
def test_integral_on_the_torus(name):
    target, axis = ManifoldTarget(name), torch.linspace(0, 2 * math.pi, 65).double()[:-1]
    mean = target.log_density(torch.cartesian_prod(axis, axis)).exp().mean()
    same(mean.log() + 2 * math.log(2 * math.pi), torch.tensor(target.log_z()).double(), 1e-6)


@pytest.mark.parametrize(("name", "features"), [("four", 3), ("two", 4)])
def test_integral_on_the_sphere(name, features):
    target = ManifoldTarget(name)
    x = torch.randn(400_000, features, generator=seeded(0), dtype=torch.float64)
    x = torch.nn.functional.normalize(x, dim=-1)
    surface = {3: 4 * math.pi, 4: 2 * math.pi**2}[features]
    weights = surface * (target.log_density(x) - target.log_z()).exp()
    assert abs(weights.mean() - 1) < 4 * weights.std() / math.sqrt(len(weights))


def test_arm_reaches_as_far_as_its_links():
    arm = Arm()
    same(arm.tip(torch.tensor([[math.pi, 0, 0, 0, 0, 0]])), torch.tensor([[-1.2, 0.0]]), 1e-6)
    folded = torch.tensor([[0.0, math.pi, math.pi, math.pi, math.pi, math.pi]])
    assert arm.joints(folded)[0, 1].norm() < 1e-6
    assert arm.log_density(folded).shape == (1,)


def test_integral_of_the_arm():
    """The quadrature against uniform draws, of an arm that holds its tip less tightly too."""
    angles = 2 * math.pi * torch.rand(200_000, 6, generator=seeded(0), dtype=torch.float64)
    for arm in (Arm(std=0.3), Arm(centres=((0.7, 0.3),), std=0.2)):
        weights = (arm.log_density(angles) + 6 * math.log(2 * math.pi) - arm.log_z()).exp()
        assert abs(weights.mean() - 1) < 4 * weights.std() / math.sqrt(len(weights))


def test_another_target_is_refused():
    with pytest.raises(ValueError, match="name must be one of"):
        ManifoldTarget("five")
