"""The experiment with posteriors on binarised images, as short as it can be."""

import numpy as np
import pytest
import torch

from anabranch.experiments import Run
from anabranch.experiments import vae_posteriors as experiment


@pytest.fixture
def tiny(monkeypatch):
    random = np.random.RandomState(0)
    monkeypatch.setattr(
        experiment, "images", lambda *_: (random.randint(256, size=(60, 9)), np.zeros(60))
    )
    size = experiment.Size(0.02, 0.01, 8, 2, 10)
    monkeypatch.setattr(experiment, "SIZES", {"cpu": {"mnist": size, "digits": size}})
    for name, value in {"BATCH": 20, "EPOCH": 1, "TURNS": 1}.items():
        monkeypatch.setattr(experiment, name, value)
    return size


def test_every_posterior_is_trained_and_scored(tiny):
    outcome = experiment.vae_posteriors(Run(seeds=(100,)))
    values = {f.name: f.value for f in outcome.figures}
    assert len(values) == 2 * (5 + 2 * len(experiment.POSTERIORS))
    for name in experiment.POSTERIORS:
        # below the entropy of nine coins as every bound, and below its own of more draws
        bound, log_p = (values[f"mnist: {what} {name}, nats"] for what in ("bound of", "log p by"))
        assert -12 < bound < log_p < -5.5
    gain = values["digits: bound of iaf 4, nats"] - values["digits: bound of diagonal, nats"]
    assert values["digits: bound of iaf 4 less diagonal, nats"] == gain


def test_all_begin_at_the_same_codes(tiny):
    shares = experiment.digits(Run(seeds=(100,)), tiny)
    start = experiment.started(0, shares, tiny, 20)
    x = experiment.binarised(shares.test, 0)
    context = start.encoder(x)
    for name in ("diagonal", "copula", "planar 2", "hamiltonian 3"):
        model = experiment.made(0, name, shares, tiny)
        experiment.take_over(model, start)
        q = getattr(model.posterior, "base", model.posterior)
        torch.testing.assert_close(q.mean(context), start.posterior.mean(context))
        z = torch.zeros(len(x), 2)
        torch.testing.assert_close(model.decode(z), start.decode(z))
        if name != "copula":
            torch.testing.assert_close(q.log_prob(z, context), start.posterior.log_prob(z, context))


def test_bits_are_drawn_with_their_shares():
    shares = torch.tensor([[0.0, 0.3, 1.0]]).expand(4000, 3)
    bits = experiment.binarised(shares, 0)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(bits.mean(0), shares[0], atol=0.03, rtol=0)
    assert not torch.equal(bits, experiment.binarised(shares, 1))
