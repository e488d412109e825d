"""Networks that are distribution functions: their derivative, and where they rise."""

import pytest
import torch

from anabranch.networks import CumulativeNetwork
from tests.registry import perturb, seeded


def network(features, **changes):
    return perturb(CumulativeNetwork(features, (6, 4), generator=seeded(0), **changes)).double()


@pytest.mark.parametrize("features", [1, 2, 3])
def test_the_density_integrates_to_what_the_box_has(features):
    model = network(features)
    nodes = torch.linspace(-1, 2, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(*[nodes] * features).reshape(-1, features)
    with torch.no_grad():
        density = model.density(grid).reshape([61] * features)
        for _ in range(features):
            density = torch.trapezoid(density, nodes)
        corners = torch.cartesian_prod(*[nodes[[0, -1]]] * features).reshape(-1, features)
        signs = (1 - 2 * (corners == -1).double()).prod(1)
        torch.testing.assert_close(density, (model(corners) * signs).sum(), rtol=5e-3, atol=1e-5)


def test_positive_weights_rise_in_each_coordinate_and_others_need_not():
    x = torch.randn(500, 3, generator=seeded(1)).double()
    step = torch.rand(500, 3, generator=seeded(2)).double()
    for increasing, rises in ((True, True), (False, False)):
        model = network(3, increasing=increasing)
        with torch.no_grad():
            if not increasing:
                model.weights[0].neg_()
            assert bool((model(x + step) >= model(x)).all()) is rises
            value, density = model.cumulative_and_density(x)
        assert torch.equal(value, model(x).detach())
        assert torch.equal(density, model.density(x).detach())
        assert bool(((value > 0) & (value < 1)).all())


def test_bad_sizes():
    with pytest.raises(ValueError, match="features must be between 1 and 8, got 9"):
        CumulativeNetwork(9)
    with pytest.raises(ValueError, match="hidden must be positive integers"):
        CumulativeNetwork(1, ())
