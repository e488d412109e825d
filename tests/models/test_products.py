"""Flows on products of spaces: what the battery does not ask."""

import math

import pytest
import torch

from anabranch.models import product_flow
from tests.battery import same
from tests.registry import perturb, seeded

BLOCKS = [["circle", 2], ["sphere", 3], ["real", 3]]


@pytest.fixture(scope="module")
def flow():
    return perturb(product_flow(8, blocks=BLOCKS, context_features=1, seed=0).double())


def test_nothing_jumps_where_circles_are_cut_open(flow):
    """Log-density and its gradient, on both sides of 0 = 2 pi, of either angle."""
    context = torch.randn(20, 1, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        x = flow.sample(context=context, generator=seeded(2))
    for angle in (0, 1):
        sides = []
        for edge in (0.0, 2 * math.pi):
            point = x.clone()
            point[:, angle] = edge
            point.requires_grad_()
            value = flow.log_prob(point, context)
            sides.append((value.detach(), torch.autograd.grad(value.sum(), point)[0]))
        for one, other in zip(*sides, strict=True):
            same(one, other, 1e-6)
        assert sides[0][1][:, angle].abs().max() > 0.1  # there is a slope to be continued


def test_blocks_depend_on_earlier_ones_and_on_the_context(flow):
    context = torch.zeros(1, 1, dtype=torch.float64)
    with torch.no_grad():
        x = flow.sample(context=context, generator=seeded(0))
        # the share of a block that comes after: what the sum changes beside the first block's own
        for moved, factors in ((0, (1, 2)), (2, (2,))):
            y = x.clone()
            y[:, moved : moved + (3 if moved == 2 else 1)] = (
                torch.tensor([[0.0, 0.6, 0.8]]) if moved == 2 else 0.5
            )
            for b in factors:
                seen = [_given(flow, point, context, b) for point in (x, y)]
                assert (seen[0] - seen[1]).abs() > 1e-3
        assert (flow.log_prob(x, context) - flow.log_prob(x, context + 2)).abs() > 1e-3


def _given(flow, x, context, block):
    """Log-density of the first numbers of a block, given the earlier ones of x."""
    upto = sum(flow.sizes[: block + 1])
    parts = product_flow(upto, blocks=BLOCKS[: block + 1], context_features=1, seed=0).double()
    parts.load_state_dict({k: v for k, v in flow.state_dict().items() if k in parts.state_dict()})
    fixed = x[:, :upto].clone()
    fixed[:, sum(flow.sizes[:block]) :] = 0.5 if block != 1 else torch.tensor([[1.0, 0.0, 0.0]])
    earlier = sum(flow.sizes[:block])
    head = product_flow(earlier, blocks=BLOCKS[:block], context_features=1, seed=0).double()
    head.load_state_dict({k: v for k, v in flow.state_dict().items() if k in head.state_dict()})
    return parts.log_prob(fixed, context) - head.log_prob(x[:, :earlier], context)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": [["circle", 2]]}, "sum to features=3"),
        ({"blocks": [["torus", 3]]}, r"kind in \['circle', 'real', 'sphere'\]"),
        ({"blocks": [["circle", 2], ["sphere", 1]]}, "at least 2"),
        ({"blocks": []}, "sum to features=3"),
        ({"blocks": [["circle", 3]], "circle": "maf"}, "circle needs a density of the circle"),
        ({"blocks": [["real", 3]], "real": "exponential_map_flow"}, "real needs a density of"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        product_flow(3, **settings)
