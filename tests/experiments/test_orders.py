"""The experiments with MAF and NICE, in small."""

import numpy as np
import pytest
import torch

from anabranch.distributions import Flow, Normal
from anabranch.experiments import Run, nice_toys, orders, toy_flows
from anabranch.problems import Banana
from anabranch.transforms import Compose, Inverse, TriangularAffine


@pytest.fixture
def small(monkeypatch):
    for module in (orders, nice_toys):
        monkeypatch.setattr(module, "ROWS", 2000)
        monkeypatch.setattr(module, "EPOCHS", 8)
        monkeypatch.setattr(module, "BATCH", 200)
        monkeypatch.setattr(module, "DIGIT_EPOCHS", 2)
        monkeypatch.setattr(module, "DIGIT_HIDDEN", (16,))
    monkeypatch.setattr(toy_flows, "TEST_ROWS", 5000)


def test_orders(small):
    outcome = orders.maf_order(Run(seeds=(100,)))
    one, five, alike, *_ = (figure.value for figure in outcome.figures)
    assert one > five + 0.1
    assert alike > five + 0.1
    assert outcome.figures[6].met
    assert len(outcome.table.splitlines()) == 2


def test_nice(small):
    linear = nice_toys.nice_linear(Run(seeds=(100,)))
    assert 0 < linear.figures[0].value < 0.2
    outcome = nice_toys.nice_banana(Run(seeds=(100,)))
    assert 0 < outcome.figures[1].value < 0.3
    assert len(outcome.table.splitlines()) == 2


def test_nll_of_a_known_flow():
    """A flow that is the Gaussian of the banana's moments has a divergence known by quadrature."""
    gaussian = TriangularAffine(2)
    gaussian.set_gaussian(torch.tensor([1.0, 0.0]), torch.diag(torch.tensor([3.0**0.5, 2.0])))
    flow = Flow(Normal(2), Compose([_scaled(0.5), gaussian]))
    expected = np.log(2 * np.pi * np.e) + 0.5 * np.log(3.0 * 4.0)
    assert toy_flows.exact_nll(flow, Banana(), 2.0, 0) == pytest.approx(expected, abs=0.01)


def _scaled(scale):
    """Multiplies by 1 / scale, that is, undoes the division of the rows."""
    whitening = TriangularAffine(2)
    whitening.set_gaussian(torch.zeros(2), torch.eye(2) / scale)
    return Inverse(whitening)


def test_digits_are_spread_over_their_cells():
    data = toy_flows.digits(0)
    rows = data.draw(data.train, torch.Generator().manual_seed(0))
    pixels = (rows["x"] * data.scale + data.loc) * toy_flows.DIGIT_LEVELS
    assert (pixels - data.train[0] - 0.5).abs().max() < 0.5001
    assert rows["x"].std() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(rows["context"].sum(1), torch.ones(1200))
    assert rows["term"][0].item() == pytest.approx(-data.scale.log().sum().item())
    alike = toy_flows.digits(0, alike=True).scale
    assert bool((alike == alike[0]).all())
