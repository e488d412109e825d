"""Reverse KL on the angles of an arm whose tip is held at two places."""

import torch

from anabranch.experiments import manifold_targets
from anabranch.problems import Arm
from tests.registry import seeded


def test_the_arm_is_told_from_the_tip():
    angles = torch.randn(5, 6, generator=seeded(0))
    assert torch.equal(manifold_targets.arm_density(angles.flip(-1)), Arm().log_density(angles))
