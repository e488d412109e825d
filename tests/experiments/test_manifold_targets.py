"""Reverse KL on the angles of an arm whose tip is held at two places."""

import pytest
import torch

from anabranch.experiments import manifold_targets
from anabranch.problems import Arm
from tests.registry import seeded


def test_the_arm_is_told_from_the_tip():
    angles = torch.randn(5, 6, generator=seeded(0))
    assert torch.equal(manifold_targets.arm_density(angles.flip(-1)), Arm().log_density(angles))


@pytest.mark.slow
def test_neither_place_is_lost(monkeypatch):
    """With clipped gradients this seed leaves but a few draws to one of them."""
    monkeypatch.setitem(manifold_targets.ARM_FIT, "steps", 2500)
    fitted = manifold_targets._arm_of(0)
    assert fitted.model is not None
    angles = fitted.model.sample(5000, generator=seeded(0)).flip(-1)
    right = (Arm().tip(angles)[:, 0] > 0).float().mean().item()
    assert 0.3 < right < 0.6  # the truth is 0.44
    assert fitted.kl < 0.7
