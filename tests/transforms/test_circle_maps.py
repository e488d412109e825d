"""Maps of the circle: closed forms, and what happens where the circle is cut open."""

import math

import pytest
import torch

from anabranch.contracts.domain import CIRCLE
from anabranch.distributions import Flow, Uniform
from anabranch.models import torus_flow
from anabranch.transforms import (
    Autoregressive,
    CircularSpline,
    ConvexCombination,
    Coupling,
    Moebius,
    NonCompactProjection,
)
from tests.battery import same
from tests.registry import perturb, seeded

TURN = 2 * math.pi
MAPS = {
    "moebius": Moebius(3),
    "projection": NonCompactProjection(2),
    "spline": CircularSpline(5),
    "combination": ConvexCombination((Moebius(2), NonCompactProjection(2))),
}
every_map = pytest.mark.parametrize("circle_map", MAPS.values(), ids=MAPS)


def params_of(circle_map, seed=0):
    shape = (circle_map.n_params, 1)
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


@every_map
def test_goes_around_once(circle_map):
    params, x = params_of(circle_map), torch.linspace(0, TURN, 301, dtype=torch.float64)
    z, log_slope = circle_map.curve(params[:-1])(x)
    same(z[[0, -1]], torch.tensor([0.0, TURN]).double(), 1e-6)
    assert (z.diff() > 0).all()
    same(log_slope[0], log_slope[-1])
    same(z.diff(), (0.5 * (log_slope[1:].exp() + log_slope[:-1].exp()) * TURN / 300), 2e-2)
    back, back_slope = circle_map.decode(*[circle_map.encode(x[1:-1], params)[0], params])
    same(back, x[1:-1], 1e-9)
    same(back_slope, -circle_map.encode(x[1:-1], params)[1], 1e-8)


def test_projection_is_an_affine_map_of_the_line():
    log_a, b = 0.7, -1.2
    params = torch.tensor([0.0, log_a, b, 0.0], dtype=torch.float64).unsqueeze(-1)
    x = torch.linspace(0.1, 6.2, 50, dtype=torch.float64)
    z, _ = NonCompactProjection().encode(x, params)
    a = math.exp(log_a / (1 + log_a / 4.0))
    line = a * torch.tan(x / 2 - math.pi / 2) + b / (1 + abs(b) / 20.0)
    same(torch.tan(z / 2 - math.pi / 2), line, 1e-9)


def test_equal_components_come_apart():
    """Components that start equal must not get equal gradients for ever."""
    for circle_map in (Moebius(2), NonCompactProjection(2)):
        params = torch.zeros(circle_map.n_params, 1, dtype=torch.float64, requires_grad=True)
        circle_map.encode(torch.tensor([1.0]).double(), params)[1].sum().backward()
        assert params.grad is not None
        one, other = params.grad[2], params.grad[3]
        assert (one - other).abs() > 1e-3


@pytest.mark.parametrize("structure", [Coupling, Autoregressive])
@pytest.mark.parametrize("circle_map", [MAPS["moebius"], MAPS["projection"]])
def test_density_and_gradient_do_not_jump_where_the_circle_is_cut(structure, circle_map):
    flow = Flow(Uniform(3, CIRCLE), structure(circle_map, 3, hidden=(8,), activation="tanh"))
    flow = perturb(flow, std=0.5).double()
    x = torch.rand(20, 3, generator=seeded(1), dtype=torch.float64) * TURN
    for d in range(3):
        values = []
        for edge in (0.0, TURN):
            point = x.clone()
            point[:, d] = edge
            point.requires_grad_()
            value = flow.log_prob(point)
            values.append((value, torch.autograd.grad(value.sum(), point)[0]))
        same(values[0][0], values[1][0], 1e-9)
        same(values[0][1], values[1][1], 1e-8)


def test_spline_density_does_not_jump_where_the_circle_is_cut():
    flow = perturb(torus_flow(2, n_layers=2, hidden=[8], seed=0), std=0.5).double()
    line = torch.linspace(0, TURN, 40, dtype=torch.float64)
    low, high = (torch.stack((torch.full_like(line, e), line), -1) for e in (0.0, TURN))
    same(flow.log_prob(low), flow.log_prob(high), 1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Moebius(0), "components must be positive, got 0"),
        (lambda: NonCompactProjection(bound=-1.0), "bound must be positive"),
        (lambda: CircularSpline(1), "bins must be at least 2"),
        (lambda: CircularSpline(ratio=1.0), "ratio must be greater than 1"),
        (lambda: ConvexCombination(()), "maps must hold at least one"),
        (lambda: torus_flow(2, circle_map="sine"), "circle_map must be one of"),
        (lambda: torus_flow(2, structure="tree"), "structure must be one of"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
