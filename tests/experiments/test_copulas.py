"""The experiments on copulas at tiny sizes, and the truths that they compare with."""

import numpy as np
import pytest
import torch

from anabranch.experiments import (
    Run,
    copula_flows,
    thesis_figures,
    vine_autoencoder,
    vine_mixture,
    vines,
)

pytest.importorskip("pyvinecopulib")


def test_a_gaussian_vine_is_the_normal_copula(monkeypatch):
    for name, value in (("ROWS", 500), ("HELD_OUT", 100), ("DRAWN", 500)):
        monkeypatch.setattr(vines, name, value)
    figures = {f.name: f for f in vines.vines(Run(seeds=(100,))).figures}
    assert figures["Gaussian vine, largest error"].met
    assert figures["native and pyvinecopulib, largest difference"].met
    assert figures["chosen vine: largest error of tau"].target == 0.02


def test_the_truth_of_two_vines_tells_them_apart():
    truth = vine_mixture.two_vines()
    x, labels = truth.sample_with_labels(2000, generator=torch.Generator().manual_seed(0))
    found = truth.log_posterior(x).argmax(0)
    assert 0.8 < (found == labels).double().mean() < 1
    assert (labels == 1).double().mean() == pytest.approx(vine_mixture.SHARE, abs=0.05)


@pytest.mark.slow
def test_a_small_table_by_vines(monkeypatch):
    monkeypatch.setattr(vine_mixture, "SEVERAL", (2,))
    monkeypatch.setattr(vine_mixture, "GAUSSIANS", (1,))
    monkeypatch.setattr(vine_mixture, "FAMILIES", ("kernel",))
    X = np.random.RandomState(0).normal(size=(150, 2))
    row = vine_mixture.on_table(100, "noise", X)
    assert np.isfinite([row.vines, row.single, row.gaussians]).all()
    assert row.above == pytest.approx(row.vines - max(row.single, row.gaussians))


@pytest.mark.slow
def test_small_copula_flows(monkeypatch):
    for name, value in (("ROWS", 300), ("HELD_OUT", 50), ("STEPS", 2), ("BATCH", 100)):
        monkeypatch.setattr(copula_flows, name, value)
    figures = {f.name: f for f in copula_flows.copula_flows(Run(seeds=(100,))).figures}
    assert figures["chosen vine, nats below the truth"].target == 0.1
    assert figures["triangular flow, nats below the truth"].value > 0.1  # hardly trained


def test_small_tails(monkeypatch):
    for name, value in (("TAIL_STEPS", 2), ("DRAWN", 2000), ("PART", 1000)):
        monkeypatch.setattr(copula_flows, name, value)
    figures = {f.name: f for f in copula_flows.tails(Run(seeds=(100,))).figures}
    assert figures["prescribed tails: largest error"].met
    assert figures["RealNVP: smallest error"].target == 0.5


def test_a_small_vine_autoencoder(monkeypatch):
    monkeypatch.setattr(vine_autoencoder, "SETS", {"digits": (200, 4)})
    monkeypatch.setattr(vine_autoencoder, "TESTED", 40)
    monkeypatch.setattr(vine_autoencoder, "PILOT", 2)
    monkeypatch.setattr(vine_autoencoder, "LATENT", 2)
    outcome = vine_autoencoder.vine_autoencoders(Run(seeds=(100,)))
    figures = {f.name: f for f in outcome.figures}
    assert figures["digits: 1-NN nearer to a half than gaussian"].target == 0.03
    assert figures["digits: 1-NN accuracy, vae"].value <= 1


def test_the_layers_of_the_thesis_figures():
    slope = 0.5
    x = thesis_figures.prelu_flow(slope).sample(4000, generator=torch.Generator().manual_seed(0))
    below = x[x < 0]
    assert float(below.std(correction=0)) < 0.6 * float(x[x > 0].std(correction=0))
    assert thesis_figures.affine_mass() == pytest.approx(1, abs=1e-3)
    assert thesis_figures.quadrant_error(slope) < 0.03


@pytest.mark.slow
def test_a_small_run_of_the_thesis_figures(monkeypatch):
    monkeypatch.setattr(thesis_figures, "EPOCHS", 1)
    outcome = thesis_figures.thesis_figures(Run(seeds=(100,)))
    assert set(outcome.pictures) == {"affine.png", "prelu.png"}
