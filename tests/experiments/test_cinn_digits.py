"""Digits told their class, in small."""

import numpy as np

from anabranch.experiments import Run, cinn_digits


def test_the_digits_run(monkeypatch):
    monkeypatch.setattr(cinn_digits, "TESTED", 1600)
    monkeypatch.setitem(cinn_digits.CINN, "n_blocks", 1)
    monkeypatch.setitem(cinn_digits.CINN, "hidden", [8])
    monkeypatch.setitem(cinn_digits.EPOCHS, "cpu", 1)
    outcome = cinn_digits.cinn_digits(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert values["style transfer: change of latents"] < 1e-4
    assert values["accuracy of the judge"] > 0.5
    assert all(np.isfinite(list(values.values())))
    assert outcome.pictures["styles.png"][:4] == b"\x89PNG"
