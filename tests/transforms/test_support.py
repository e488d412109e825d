"""Supports: values near bounds, outside them, and on circles."""

import math

import pytest
import torch

from anabranch.transforms import Support

INF = math.inf


def double(lower, upper, **settings):
    return Support(lower, upper, dtype=torch.float64, **settings)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def test_each_kind_is_its_formula():
    transform = double([2.0, 2.0, -INF, -INF], [6.0, INF, 6.0, INF])
    x = torch.tensor([[3.0, 3.5, 5.0, -7.0]], dtype=torch.float64)
    z, term = transform.encode(x)
    expected = [[math.log(1 / 3), math.log(1.5), -math.log(1.0), -7.0]]
    assert torch.allclose(z, torch.tensor(expected, dtype=torch.float64), atol=1e-15)
    slope = math.log(4 / (1 * 3)) - math.log(1.5) - math.log(1.0)
    assert math.isclose(term.item(), slope, abs_tol=1e-14)


@pytest.mark.parametrize("distance", [1e-300, 1e-12, 1e-3])
def test_digits_are_kept_near_a_bound(distance):
    z, _ = double([0.0], [1.0]).encode(rows(distance))
    assert math.isclose(z.item(), math.log(distance) - math.log1p(-distance), rel_tol=1e-14)
    x, _ = double([0.0], [1.0]).decode(z)
    assert math.isclose(x.item(), distance, rel_tol=1e-12)
    # from above, where the distance is what a float can hold of it
    near = 1.0 - max(distance, 1e-12)
    z, _ = double([0.0], [1.0]).encode(rows(near))
    assert math.isclose(z.item(), math.log(near) - math.log(1.0 - near), rel_tol=1e-14)


@pytest.mark.parametrize(
    ("bounds", "inside"),
    [((0.0, 1.0), 0.5), ((0.0, INF), 1e9), ((-INF, 3.0), -4.0)],
    ids=["interval", "above", "below"],
)
def test_there_is_no_density_outside(bounds, inside):
    transform = double([bounds[0], -INF], [bounds[1], INF])
    finite = [b for b in bounds if math.isfinite(b)]
    outside = [*finite, *(b - 1 if b == bounds[0] else b + 1 for b in finite)]
    x = torch.tensor([[v, 0.3] for v in [*outside, inside]], dtype=torch.float64)
    x.requires_grad_()
    z, term = transform.encode(x)
    assert (term[:-1] == -INF).all()
    assert torch.isfinite(term[-1])
    assert torch.isfinite(z).all()
    (z.sum() + term[-1]).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_what_is_decoded_is_never_on_a_bound():
    transform = double([0.0, 100.0, -INF, 3.0], [1.0, INF, -1e6, 4.0])
    z = torch.tensor([[-800.0] * 4, [-50.0] * 4, [50.0] * 4, [800.0] * 4], dtype=torch.float64)
    x, _ = transform.decode(z)
    # farther out a half-line ends at infinity
    held = torch.isfinite(x)
    assert held[1:3].all()
    assert (x > transform.lower)[held].all()
    assert (x < transform.upper)[held].all()
    assert torch.isfinite(transform.encode(x[1:3])[1]).all()


def test_a_circle_takes_any_turn_and_gives_one_range():
    turn = 2 * math.pi
    circle = double([2.0], [2.0 + turn], periodic=[True], origin=[-math.pi])
    x = torch.linspace(-3.1, 3.1, 50, dtype=torch.float64).unsqueeze(-1)
    z, term = circle.encode(x)
    for k in (-2, 1, 5):
        moved, same = circle.encode(x + k * turn)
        assert torch.allclose(moved, z, atol=1e-9)
        assert torch.allclose(same, term, atol=1e-9)
    assert torch.allclose(circle.decode(z)[0], x, atol=1e-12)
    drawn, _ = circle.decode(torch.linspace(-60, 60, 99, dtype=torch.float64).unsqueeze(-1))
    assert (drawn >= -math.pi).all()
    assert (drawn < math.pi).all()
    # jumps where it is cut, and there only
    order = z.squeeze(-1).diff()
    assert (order < 0).sum() == 1
    assert x[order.argmin()] < 2.0 < x[order.argmin() + 1]
    assert torch.isfinite(circle.encode(rows(2.0, 2.0 + turn))[1]).all()


def test_the_bounds_are_saved():
    transform = double([0.25], [0.25 + math.tau], periodic=[True], origin=[0.0])
    other = double([-INF], [INF])
    other.load_state_dict(transform.state_dict())
    x = rows(0.1, 1.0, 6.0)
    assert torch.equal(other.encode(x)[0], transform.encode(x)[0])
    assert torch.equal(other.encode(x)[1], transform.encode(x)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0]), "lower must be below upper, got 1.0 and 1.0 for column 0"),
        (([0.0], [math.nan]), "lower must be below upper"),
        (([0.0, 1.0], [2.0]), "one value for each of the columns, got 2, 1, 2 and 2"),
        (([], []), "one value for each"),
    ],
)
def test_wrong_bounds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Support(*arguments)


def test_a_circle_needs_two_bounds():
    with pytest.raises(ValueError, match="a periodic column needs two bounds"):
        Support([0.0], [INF], periodic=[True])
