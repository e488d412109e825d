"""The experiment on deep density models at a tiny size."""

import pytest
import torch

from anabranch.experiments import Run, ddm_digits


def test_a_small_run(monkeypatch):
    for name in ("STEPS", "CLASS_STEPS"):
        monkeypatch.setattr(ddm_digits, name, 2)
    figures = {f.name: f for f in ddm_digits.ddm_digits(Run(seeds=(100,))).figures}
    assert figures["paper: AUROC of 9 against 6"].target == 0.8
    assert figures["paper: AUROC of 9 against shuffled"].target == 0.95


def test_the_error_of_calibration():
    confidence = torch.tensor([0.9, 0.9, 0.5, 0.5]).double()
    right = torch.tensor([1.0, 0.0, 1.0, 0.0]).double()
    assert ddm_digits.calibration_error(confidence, right) == pytest.approx((0.8 + 0.0) / 4)
