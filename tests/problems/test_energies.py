"""The energies of Rezende and Mohamed against their formulas and known integrals."""

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad

from anabranch.problems import Energy

NAMES = ["U1", "U2", "U3", "U4"]


def reference(name, z1, z2):
    w1 = np.sin(2 * np.pi * z1 / 4)
    w2 = 3 * np.exp(-0.5 * ((z1 - 1) / 0.6) ** 2)
    w3 = 3 / (1 + np.exp(-(z1 - 1) / 0.3))

    def bump(value, scale):
        return np.exp(-0.5 * (value / scale) ** 2)

    if name == "U1":
        ring = 0.5 * ((np.hypot(z1, z2) - 2) / 0.4) ** 2
        return ring - np.log(bump(z1 - 2, 0.6) + bump(z1 + 2, 0.6))
    energy = {
        "U2": lambda: 0.5 * ((z2 - w1) / 0.4) ** 2,
        "U3": lambda: -np.log(bump(z2 - w1, 0.35) + bump(z2 - w1 + w2, 0.35)),
        "U4": lambda: -np.log(bump(z2 - w1, 0.4) + bump(z2 - w1 + w3, 0.35)),
    }[name]()
    return energy + 10 * max(abs(z1) - 4, 0) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_formula(name):
    z = np.random.RandomState(0).uniform([-5, -3], [5, 3], (100, 2))
    expected = [-reference(name, a, b) for a, b in z]
    ours = Energy(name).log_density(torch.from_numpy(z))
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "log_z"), [("U1", 1.8775), ("U2", 2.1498), ("U3", 2.7094), ("U4", 2.7784)]
)
def test_log_z(name, log_z):
    energy = Energy(name)
    assert energy.log_z() == pytest.approx(log_z, abs=5e-5)
    assert energy.log_z(points=1201) == pytest.approx(energy.log_z(), abs=1e-6)


def test_log_z_by_another_quadrature():
    total, _ = dblquad(lambda b, a: np.exp(-reference("U2", a, b)), -6, 6, -4, 4, epsabs=1e-7)
    assert Energy("U2").log_z() == pytest.approx(np.log(total), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_everywhere(name):
    z = torch.tensor([[0.0, 0.0], [4.0, 1.0], [1e3, -1e3], [-30.0, 0.0]], requires_grad=True)
    log_density = Energy(name).log_density(z)
    (gradient,) = torch.autograd.grad(log_density.sum(), z)
    assert torch.isfinite(log_density).all()
    assert torch.isfinite(gradient).all()


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"name must be one of \['U1', .*\], got 'U5'"):
        Energy("U5")
