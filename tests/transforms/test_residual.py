"""Residual layers: bounds of norms, the exact term and its estimate, and numeric inverses."""

import pytest
import torch

from anabranch.functional.roots import fixed_point
from anabranch.networks.lipschitz import LipschitzMLP, norm_bound
from anabranch.transforms import Residual
from anabranch.transforms import residual as residual_layer
from tests.registry import perturb, seeded


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 64), (2, 40, 40)])
def test_the_bound_is_above_the_spectral_norm_and_near_it(shape):
    weight = torch.randn(*shape, dtype=torch.float64, generator=seeded(0))
    for size in (1e-3, 1.0, 1e3):
        exact = torch.linalg.matrix_norm(size * weight, 2)
        bound = norm_bound(size * weight).flatten(-2).squeeze(-1)
        assert (bound >= exact * (1 - 1e-12)).all()
        assert (bound <= 1.3 * exact).all()
    assert torch.isfinite(norm_bound(torch.zeros(3, 3))).all()


def test_no_two_points_part_by_more_than_the_limit():
    net = perturb(LipschitzMLP(3, (8, 8), limit=0.7, generator=seeded(4)).double(), scale=5.0)
    x = torch.randn(500, 3, dtype=torch.float64, generator=seeded(0))
    _, slope = net.linearised(x)
    norms = torch.linalg.matrix_norm(slope.matrix(), 2)
    assert 0.05 < norms.max() <= 0.7
    g, _ = net.linearised(x)
    moved = torch.linalg.vector_norm(g[1:] - g[:-1], dim=-1)
    assert (moved <= 0.7 * torch.linalg.vector_norm(x[1:] - x[:-1], dim=-1)).all()


def test_roulette_is_the_exact_term_in_the_mean(monkeypatch):
    monkeypatch.setattr(residual_layer, "SURE", 1)
    exact = perturb(Residual(3, hidden=(8,), generator=seeded(5)).double(), scale=5.0)
    roulette = Residual(3, hidden=(8,), log_det="roulette").double()
    roulette.load_state_dict(exact.state_dict())
    x = torch.randn(3, dtype=torch.float64, generator=seeded(1))
    with torch.no_grad():
        expected = exact.encode(x)[1]
        source = seeded(2)
        means = torch.stack(
            [roulette.encode(x.expand(200, 3), generator=source)[1].mean() for _ in range(400)]
        )
    error = means.std() / len(means) ** 0.5
    assert abs(means.mean() - expected) < 4 * error
    assert error < 0.1 * expected.abs()
    # gradients of the estimate are estimates of the gradient
    truth = torch.autograd.grad(exact.encode(x)[1], exact.network.layers[0].weight)[0]
    found = []
    for _ in range(300):
        term = roulette.encode(x.expand(50, 3), generator=source)[1].mean()
        found.append(torch.autograd.grad(term, roulette.network.layers[0].weight)[0])
    found = torch.stack(found)
    spread = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - truth).abs() < 4.5 * spread + 1e-12).all()


def test_steep_layers_are_undone():
    residual = perturb(
        Residual(2, hidden=(16, 16), limit=0.99, generator=seeded(6)).double(), scale=30.0
    )
    x = 3 * torch.randn(200, 2, dtype=torch.float64, generator=seeded(0))
    with torch.no_grad():
        z, term = residual.encode(x)
        back, back_term = residual.decode(z)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(back_term, -term, atol=1e-8, rtol=1e-8)


def test_what_does_not_contract_is_said():
    with pytest.raises(ArithmeticError, match="does not contract"):
        fixed_point(lambda x: 2 * x + 1, torch.zeros(2))


@pytest.mark.parametrize(("name", "value"), [("limit", 1.0), ("log_det", "guess"), ("hidden", ())])
def test_wrong_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Residual(2, **{name: value})
