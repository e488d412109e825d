"""With the parameters of zuko's flows ours give zuko's densities."""

import math
from dataclasses import dataclass

import pytest
import torch
import zuko

from anabranch.distributions import Flow, Normal
from anabranch.functional.splines import rational_quadratic, rational_quadratic_inverse
from anabranch.transforms import Affine, Autoregressive, Compose, ScalarMap
from tests.functional.test_splines import zuko_knots
from tests.registry import seeded

FEATURES, HIDDEN, LAYERS = 5, (16, 8), 3


@dataclass(frozen=True)
class ZukoSpline(ScalarMap):
    """Our spline, between knots that zuko's law puts."""

    n_params = 23

    def encode(self, x, params):
        return rational_quadratic(x, *zuko_knots(params, 8)[1])

    def decode(self, z, params):
        return rational_quadratic_inverse(z, *zuko_knots(params, 8)[1])


CASES = {
    "maf": (zuko.flows.MAF, Affine(bound=-math.log(1e-3), law="softsign")),
    "nsf": (zuko.flows.NSF, ZukoSpline()),
}


@torch.no_grad()
def copy(theirs, ours):
    """Copy a masked network; their units come in another order, and their outputs by feature."""
    layers = [layer for layer in theirs if isinstance(layer, torch.nn.Linear)]
    seen, order = None, torch.arange(layers[0].in_features)
    for layer, mine in zip(layers, [*ours.hidden, ours.last], strict=True):
        weight = (layer.weight * layer.mask)[:, order]
        mask = layer.mask.double() if seen is None else layer.mask.double() @ seen
        if mine is ours.last:
            per = mine.out_features // FEATURES
            order = torch.arange(mine.out_features).view(FEATURES, per).mT.flatten()
        else:
            order = torch.argsort((mask > 0).sum(1), stable=True)
        mine.weight.copy_(weight[order])
        mine.bias.copy_(layer.bias[order].unsqueeze(-1))
        assert not (weight[order] * (mine.mask == 0)).any(), "a connection we do not have"
        seen = (mask > 0).double()


@pytest.mark.parametrize("name", CASES)
def test_same_parameters_same_densities(name):
    make, scalar_map = CASES[name]
    state = torch.random.get_rng_state()
    torch.manual_seed(0)  # zuko knows no other source of numbers
    theirs = make(FEATURES, transforms=LAYERS, hidden_features=HIDDEN).double()
    torch.random.set_rng_state(state)
    layers = []
    for layer in theirs.transform.transforms:
        with torch.no_grad():
            layer.hyper[-1].weight.mul_(5)
        ordering = layer.order.tolist()
        layers.append(Autoregressive(scalar_map, FEATURES, hidden=HIDDEN, ordering=ordering))
        copy(layer.hyper, layers[-1].conditioner)
    ours = Flow(Normal(FEATURES), Compose(layers)).double()
    x = torch.randn(200, FEATURES, generator=seeded(0), dtype=torch.float64) * 1.5
    expected = theirs().log_prob(x)
    assert expected.std() > 1
    torch.testing.assert_close(ours.log_prob(x), expected, atol=1e-6, rtol=1e-6)
    ours, theirs, x = ours.float(), theirs.float(), x.float()
    torch.testing.assert_close(ours.log_prob(x), theirs().log_prob(x), atol=1e-5, rtol=1e-5)
    z = torch.randn(50, FEATURES, generator=seeded(1))
    again = theirs().transform(ours.transform.decode(z)[0])
    torch.testing.assert_close(again, z, atol=1e-3, rtol=1e-3)
