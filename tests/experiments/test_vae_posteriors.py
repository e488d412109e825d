"""The experiment with posteriors on binarised images, as short as it can be."""

import numpy as np
import torch

from anabranch.experiments import Run
from anabranch.experiments import vae_posteriors as experiment


def test_every_posterior_is_trained_and_scored(monkeypatch):
    random = np.random.RandomState(0)
    monkeypatch.setattr(
        experiment, "images", lambda *_: (random.randint(256, size=(60, 9)), np.zeros(60))
    )
    monkeypatch.setattr(experiment, "SIZES", {"cpu": (40, 4, 8, 2)})
    monkeypatch.setattr(experiment, "BATCH", 20)
    monkeypatch.setattr(experiment, "TEST_ROWS", 10)
    outcome = experiment.vae_posteriors(Run(seeds=(100,)))
    values = {f.name: f.value for f in outcome.figures}
    assert len(values) == 5 + 2 * len(experiment.POSTERIORS)
    for name in experiment.POSTERIORS:
        # below the entropy of nine coins as every bound, and below its own of more draws
        assert -12 < values[f"bound of {name}, nats"] < values[f"log p by {name}, nats"] < -5.5
    gain = values["bound of iaf 4, nats"] - values["bound of diagonal, nats"]
    assert values["bound of iaf 4 less diagonal, nats"] == gain


def test_bits_are_drawn_with_their_shares():
    shares = torch.tensor([[0.0, 0.3, 1.0]]).expand(4000, 3)
    bits = experiment.binarised(shares, 0)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(bits.mean(0), shares[0], atol=0.03, rtol=0)
    assert not torch.equal(bits, experiment.binarised(shares, 1))
