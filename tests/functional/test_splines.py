"""Splines: values, inverses and derivatives, in both ways of writing them."""

import math

import pytest
import torch
from zuko.transforms import MonotonicRQSTransform

from anabranch.functional.neural_splines import (
    SplineLaw,
    neural_spline,
    neural_spline_inverse,
    spline_knots,
)
from anabranch.functional.splines import rational_quadratic, rational_quadratic_inverse
from anabranch.transforms import RationalQuadratic
from tests.registry import seeded

LAWS = {
    "linear": SplineLaw(4, 5.0, 0.005, 0.02, 8.0, "linear"),
    "free": SplineLaw(4, 2.0, 0.005, 0.02, 8.0, "free"),
    "below": SplineLaw(3, 2.0, 0.005, 0.02, 8.0, "linear-below"),
    "above": SplineLaw(2, 2.0, 0.01, 0.02, 4.0, "linear-above"),
    "two": SplineLaw(2, 3.0, 0.01, 0.01, 4.0, "linear"),
    "periodic": SplineLaw(4, 2.0, 0.005, 0.02, 8.0, "periodic"),
    "pair": SplineLaw(2, 2.0, 0.01, 0.02, 4.0, "periodic"),
}
PAIRS = [
    (neural_spline, rational_quadratic),
    (neural_spline_inverse, rational_quadratic_inverse),
]
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def draw(law, *shape, scale=1.0, dtype=torch.float64):
    """Points in and out of the box, and parameters."""
    generator = seeded(0)
    x = torch.randn(shape, generator=generator, dtype=dtype) * law.bound * 0.7
    params = torch.randn(law.n_params, *shape, generator=generator, dtype=dtype) * scale
    return x, params


def zuko_knots(params, bins, bound=5.0, slope=1e-3):
    """The same spline as zuko builds from these parameters."""
    split = (bins, bins, bins - 1)
    theirs = MonotonicRQSTransform(*params.movedim(0, -1).split(split, -1), bound, slope)
    knots = (theirs.horizontal, theirs.vertical, theirs.derivatives)
    return theirs, tuple(k.movedim(-1, 0) for k in knots)


def test_against_zuko():
    x, params = draw(LAWS["linear"], 200)
    theirs, knots = zuko_knots(params, 4)
    expected, expected_slope = theirs.call_and_ladj(x)
    actual, slope = rational_quadratic(x, *knots)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(slope, expected_slope, atol=1e-10, rtol=1e-10)
    back, back_slope = rational_quadratic_inverse(x, *knots)
    torch.testing.assert_close(back, theirs.inv(x), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(back_slope, theirs.inv.call_and_ladj(x)[1], atol=1e-8, rtol=1e-8)


@every_law
@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("pair", PAIRS, ids=["encode", "decode"])
def test_written_derivatives_are_those_of_the_plain_way(law, scale, pair):
    x, params = draw(law, 3, 60, scale=scale)
    x.requires_grad_(), params.requires_grad_()
    fast, plain = pair[0](x, params, law), pair[1](x, *spline_knots(params, law))
    weights = torch.randn(2, 3, 60, generator=seeded(1), dtype=x.dtype)
    # the plain way of a circle cancels between unlike bins
    limit = 1e-7 if law.ends == "periodic" else 1e-9
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, atol=limit, rtol=limit)
    gradients = [
        torch.autograd.grad((weights[0] * z + weights[1] * s).sum(), (x, params))
        for z, s in (fast, plain)
    ]
    atol = 2e-6 if law.ends == "periodic" else 1e-7  # the plain way cancels between unlike bins
    torch.testing.assert_close(*gradients, atol=atol, rtol=1e-6)


@every_law
@pytest.mark.parametrize("function", [neural_spline, neural_spline_inverse])
def test_derivatives(law, function):
    x, params = draw(law, 3)
    inputs = (x.requires_grad_(), params.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, p: function(x, p, law), inputs)


@pytest.mark.parametrize("function", [neural_spline, neural_spline_inverse])
def test_second_derivatives(function):
    law = LAWS["two"]
    x, params = draw(law, 2)
    inputs = (x.requires_grad_(), params.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda x, p: function(x, p, law), inputs)


@pytest.mark.parametrize(("ends", "side"), [("linear-below", -1.0), ("linear-above", 1.0)])
def test_one_sided_ends(ends, side):
    """The identity beyond one end, and a line of a slope of its own beyond the other."""
    law = SplineLaw(3, 2.0, 0.005, 0.02, 8.0, ends)
    params = torch.randn(law.n_params, 50, generator=seeded(0), dtype=torch.float64)
    for at, identical in ((side, True), (-side, False)):
        x = torch.full((50,), 5.0 * at, dtype=torch.float64)
        z, slope = neural_spline(x, params, law)
        assert ((z - x).abs() < 1e-9).all() == identical
        assert (slope.abs() < 1e-9).all() == identical
        torch.testing.assert_close(neural_spline_inverse(z, params, law)[0], x)


def test_only_the_wanted_derivatives():
    law = LAWS["linear"]
    x, params = draw(law, 6)
    params.requires_grad_()
    z, _ = neural_spline(x, params, law)
    (first,) = torch.autograd.grad(z.sum(), params, create_graph=True)
    assert torch.autograd.grad(first.square().sum(), params)[0].abs().sum() > 0


@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0, 1000.0])
@pytest.mark.parametrize("bins", [2, 8, 20])
@pytest.mark.parametrize("ends", ["linear", "free"])
def test_round_trip_in_single_precision(scale, bins, ends):
    law = RationalQuadratic(bins, ends=ends).law
    _, params = draw(law, 30_000, scale=scale, dtype=torch.float32)
    x = torch.linspace(-5, 5, 30_000)
    pair = neural_spline, neural_spline_inverse
    for there, back in (pair, pair[::-1]):
        y, slope = there(x, params, law)
        again, back_slope = back(y, params, law)
        assert (again - x).abs().max() < 1e-3
        assert torch.isfinite(slope).all()
        assert torch.isfinite(back_slope).all()


def test_peers_at_scale_20_in_single_precision():
    """What the spline is made to avoid: zuko's inverse has NaN."""
    x, params = draw(LAWS["linear"], 100_000, scale=20.0, dtype=torch.float32)
    theirs, _ = zuko_knots(params, 4)
    assert theirs.inv(theirs(x)).isnan().any()


@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0, 1e30])
@pytest.mark.parametrize("function", [neural_spline, neural_spline_inverse])
def test_finite_anywhere_in_single_precision(scale, function):
    law = LAWS["free"]
    params = draw(law, 9, scale=scale, dtype=torch.float32)[1].requires_grad_()
    x = torch.tensor([-1e4, -30.0, -2.0, -1e-30, 0.0, 1.9999999, 2.0, 30.0, 1e4]).requires_grad_()
    z, slope = function(x, params, law)
    for part in (z, slope, *torch.autograd.grad(z.sum() + slope.sum(), (x, params))):
        assert torch.isfinite(part).all()


@every_law
def test_knots_and_least_slope(law):
    _, params = draw(law, 500, scale=20.0)
    x, y, slopes = spline_knots(params, law)
    assert x.shape == y.shape == slopes.shape == (law.bins + 1, 500)
    torch.testing.assert_close(x[-1], torch.full((500,), law.bound, dtype=x.dtype))
    assert ((x[1:] - x[:-1]) / (2 * law.bound)).min() >= law.min_width * 0.999
    assert ((y[1:] - y[:-1]) / (2 * law.bound)).min() >= law.min_height * 0.999
    points = torch.linspace(-law.bound, law.bound, 400, dtype=x.dtype)[:, None].expand(-1, 500)
    log_slope = neural_spline(points, params.unsqueeze(1), law)[1]
    # beside an end whose slope is one, a bin may be flatter than its neighbours ask for
    floor = 1.5 * law.min_height**2 if any(law.fixed) else law.min_height / (2 * law.ratio)
    assert log_slope.min() > math.log(floor)


def test_outside_the_box():
    x = torch.tensor([-30.0, -5.1, 5.1, 1e6])
    law = LAWS["linear"]
    params = draw(law, 4, scale=3.0, dtype=torch.float32)[1].requires_grad_()
    z, slope = neural_spline(x, params, law)
    assert torch.equal(z, x)
    assert torch.equal(slope, torch.zeros(4))
    assert not torch.autograd.grad(z.sum(), params)[0].any()
    law = LAWS["free"]
    params = draw(law, 4, scale=3.0, dtype=torch.float64)[1]
    far, slope = neural_spline(torch.full((4,), 9.0, dtype=torch.float64), params, law)
    near, _ = neural_spline(torch.full((4,), 4.0, dtype=torch.float64), params, law)
    torch.testing.assert_close(far - near, 5 * slope.exp())
    torch.testing.assert_close(slope.exp(), spline_knots(params, law)[2][-1])


@every_law
def test_parameters_zero_are_the_identity(law):
    x, params = draw(law, 100)
    z, slope = neural_spline(x, 0 * params, law)
    torch.testing.assert_close(z, x, atol=1e-14, rtol=0)
    torch.testing.assert_close(slope, torch.zeros_like(x), atol=1e-14, rtol=0)


def test_shapes_broadcast():
    law = LAWS["linear"]
    x, params = torch.ones(7, 2), torch.ones(law.n_params, 3, 1, 2)
    assert neural_spline(x, params, law)[0].shape == (3, 7, 2)
