"""Types of knowledge on the pinwheel, in small."""

import numpy as np
import pytest
import torch

from anabranch.experiments import Run, tzk_pinwheel


def test_the_pinwheel_runs(monkeypatch):
    monkeypatch.setattr(tzk_pinwheel, "ROWS", 512)
    monkeypatch.setattr(tzk_pinwheel, "VALIDATION", 100)
    monkeypatch.setattr(tzk_pinwheel, "TESTED", 200)
    monkeypatch.setitem(tzk_pinwheel.EPOCHS, "cpu", 1)
    outcome = tzk_pinwheel.tzk_pinwheel(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert values["change of p(t) by a later type"] == 0
    assert values["information of the wing, nats"] == pytest.approx(np.log(5), abs=0.01)
    assert all(np.isfinite(list(values.values())))


def test_what_a_wing_tells_is_known():
    """Of a point between wings, as much as its posterior says."""
    middle = {"x": torch.zeros(1, 2)}
    assert tzk_pinwheel.information(middle) == pytest.approx(0, abs=1e-6)
