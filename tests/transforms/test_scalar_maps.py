"""Scalar maps by themselves."""

import pytest
import torch

from anabranch.distributions import Flow, Normal
from anabranch.transforms import (
    Affine,
    DeepSigmoidal,
    Elementwise,
    GatedAffine,
    MixtureLogisticCDF,
    PReLU,
    RationalQuadratic,
    Scale,
)
from tests.registry import MAPS, seeded

FAR = torch.tensor([-1e4, -100.0, -30.0, -5.0, 0.0, 5.0, 30.0, 100.0, 1e4])
NUMERIC = {"mixture-cdf": MixtureLogisticCDF(), "sigmoidal": DeepSigmoidal()}
every_map = pytest.mark.parametrize("name", MAPS)
every_numeric = pytest.mark.parametrize("name", NUMERIC)


def parameters(scalar_map, n, scale, dtype=torch.float64):
    raw = torch.randn(scalar_map.n_params, n, generator=seeded(1), dtype=torch.float64)
    return (raw * scale).to(dtype)


@every_map
@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_round_trip(name, scale, dtype):
    scalar_map = MAPS[name]
    x = torch.randn(2000, generator=seeded(0), dtype=torch.float64) * 3
    x = torch.cat((x, FAR.double().repeat(20))).to(dtype)
    params = parameters(scalar_map, len(x), scale, dtype)
    z, slope = scalar_map.encode(x, params)
    back, back_slope = scalar_map.decode(z, params)
    # a far number keeps its leading digits
    error = (back - x).abs() / x.abs().clamp_min(10.0) * 10
    assert error.max() < (1e-3 if dtype == torch.float32 else 1e-10)
    assert (slope + back_slope).abs().max() < (3e-2 if dtype == torch.float32 else 1e-8)
    assert back.dtype == slope.dtype == back_slope.dtype == dtype


@every_map
def test_parameters_zero_are_the_identity(name):
    scalar_map = MAPS[name]
    x = FAR.double()
    z, slope = scalar_map.encode(x, torch.zeros(scalar_map.n_params, 9, dtype=torch.float64))
    gate = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64)) if name == "gated" else 1.0
    torch.testing.assert_close(z, x * gate, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(slope.exp(), torch.ones_like(x) * gate, atol=1e-9, rtol=1e-9)


@every_map
@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_derivatives(name, direction):
    scalar_map = MAPS[name]
    x = torch.tensor([-2.1, 0.3, 1.7], dtype=torch.float64, requires_grad=True)
    params = parameters(scalar_map, 3, 0.7).requires_grad_()
    assert torch.autograd.gradcheck(getattr(scalar_map, direction), (x, params), atol=1e-5)


@every_numeric
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_far_out_it_is_a_line(name, scale):
    scalar_map = NUMERIC[name]
    params = parameters(scalar_map, 4, scale)
    ends = (torch.full((4,), x, dtype=torch.float64) for x in (1e4, 2e4, 3e4))
    z = torch.stack([scalar_map.encode(x, params)[0] for x in ends])
    torch.testing.assert_close(z[2] - z[1], z[1] - z[0], atol=1e-6, rtol=1e-6)


@every_numeric
def test_the_slope_has_a_floor(name):
    scalar_map = NUMERIC[name]
    x = torch.linspace(-10, 10, 4001, dtype=torch.float64).expand(50, -1)
    params = parameters(scalar_map, 50, 20.0).unsqueeze(-1)
    slopes = scalar_map.encode(x, params)[1].exp()
    scale = torch.exp(-torch.tensor(1.0)) if name == "mixture-cdf" else 1.0
    assert slopes.min() >= 0.01 * scale
    assert slopes.max() <= 21 * (1 / scale)


@every_numeric
def test_roots_of_numbers_that_are_not_finite(name):
    scalar_map = NUMERIC[name]
    params = parameters(scalar_map, 2, 1.0)
    params[0, 1] = float("nan")
    with pytest.raises(ArithmeticError, match="no root for 1 of 2 values"):
        scalar_map.decode(torch.zeros(2, dtype=torch.float64), params)


@every_numeric
def test_units_part_in_training(name):
    """Two clusters are one too many for equal units, and a single one stays at the Gaussian."""
    generator = seeded(3)
    side = torch.randint(0, 2, (400, 1), generator=generator) * 2.0 - 1
    x = side * 2 + 0.5 * torch.randn(400, 1, generator=generator)
    nll = {}
    for units in (1, 8):
        scalar_map = type(NUMERIC[name])(units)
        flow = Flow(Normal(1), Elementwise(scalar_map, 1))
        optimizer = torch.optim.Adam(flow.parameters(), 0.05)
        for _ in range(120):
            optimizer.zero_grad()
            loss = -flow.log_prob(x).mean()
            loss.backward()
            optimizer.step()
        nll[units] = loss.item()
    means = flow.transform.params.detach().flatten()[units : 2 * units]
    assert means.std() > 0.1
    truth = 0.5 * torch.log(torch.tensor(2 * torch.pi * torch.e * 0.25)) + torch.log(
        torch.tensor(2.0)
    )
    assert nll[8] < truth + 0.2
    assert nll[1] > truth + 0.5


@pytest.mark.parametrize("law", ["tanh", "softsign", "atan"])
def test_laws_of_scales(law):
    raw = torch.linspace(-1e3, 1e3, 2001, dtype=torch.float64)
    slope = Affine(bound=1.5, law=law).encode(raw, torch.stack((raw, raw)))[1]
    assert (slope.diff() >= 0).all()
    assert 1.4 < slope.max() <= 1.5
    near = Affine(law=law).encode(raw[:1], torch.tensor([[0.0], [1e-6]], dtype=torch.float64))[1]
    torch.testing.assert_close(near, torch.full_like(near, 1e-6), atol=1e-11, rtol=1e-5)


def test_the_gate():
    z, slope = GatedAffine(bias=1.0).encode(torch.tensor([3.0]), torch.tensor([[5.0], [0.0]]))
    gate = torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close(z, (gate * 3 + (1 - gate) * 5).expand(1))
    torch.testing.assert_close(slope.exp(), gate.expand(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Affine(bound=0.0), "bound must be a positive number, got 0.0"),
        (lambda: Affine(law="relu"), r"law must be one of \['atan', 'softsign', 'tanh'\], got 'r"),
        (lambda: Scale(law="relu"), "law must be one of"),
        (lambda: Scale(bound=-1.0), "bound must be a positive number, got -1.0"),
        (lambda: GatedAffine(bound=0.0), "bound must be a positive number"),
        (lambda: PReLU(bound=0.0), "bound must be a positive number"),
        (lambda: RationalQuadratic(bins=1), "bins must be an integer of at least 2, got 1"),
        (lambda: RationalQuadratic(ends="round"), "ends must be one of .* got 'round'"),
        (lambda: RationalQuadratic(bound=0.0), "bound must be a positive number"),
        (lambda: RationalQuadratic(min_width=0.0), "min_width must be a positive number"),
        (lambda: RationalQuadratic(bins=50), "50 bins of min_height 0.02 do not fit"),
        (lambda: RationalQuadratic(ratio=1.0), "ratio must be greater than 1, got 1.0"),
        (lambda: MixtureLogisticCDF(components=0), "components must be an integer of at least 1"),
        (lambda: MixtureLogisticCDF(min_slope=1.0), r"min_slope must be in \(0, 1\), got 1.0"),
        (lambda: DeepSigmoidal(hidden=0), "hidden must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
