"""Attention in the place of a MADE: who sees whom, and turns against one pass."""

from functools import partial

import pytest
import torch

from anabranch.models import tarflow
from anabranch.networks import CausalTransformer, TransformerSizes
from anabranch.transforms import Autoregressive, Moebius, RationalQuadratic
from tests.registry import perturb, seeded


def test_an_answer_sees_the_tokens_before_its_own_and_all_of_them():
    ordering = [3, 0, 4, 1, 5, 2]
    sizes = TransformerSizes(token_size=2, width=8)
    net = CausalTransformer(6, 2, sizes, ordering=ordering, generator=seeded(0))
    perturb(net.double())
    x = torch.randn(1, 6, dtype=torch.float64, generator=seeded(1))
    seen = torch.autograd.functional.jacobian(lambda x: net(x)[0], x)[:, 0] != 0  # (12, 6)
    token = torch.tensor(ordering) // 2
    expected = token[:, None] > token[None, :]
    assert torch.equal(seen, expected.repeat(2, 1))


def test_any_scalar_map_takes_it():
    network = partial(CausalTransformer, sizes=TransformerSizes(width=8))
    transform = Autoregressive(RationalQuadratic(bins=3), 3, conditioner=network)
    perturb(transform.double())
    x = torch.randn(4, 3, dtype=torch.float64, generator=seeded(1))
    z, _ = transform.encode(x)
    torch.testing.assert_close(transform.decode(z)[0], x)
    with pytest.raises(ValueError, match="conditioner"):
        Autoregressive(RationalQuadratic(), 3, conditioner=network, passes=2)
    with pytest.raises(ValueError, match="conditioner"):
        Autoregressive(Moebius(), 3, conditioner=network)


def test_tokens_of_images_are_their_patches():
    flow = perturb(tarflow(32, image_shape=[2, 4, 4], patch=2, n_layers=1, norm=None, seed=0))
    x = torch.randn(1, 32, generator=seeded(0))

    def last_patch(x):
        return flow.transform.encode(x)[0].reshape(2, 4, 4)[:, 2:, 2:].sum()

    seen = torch.autograd.functional.jacobian(last_patch, x).reshape(2, 4, 4) != 0
    assert seen.all()
    first = torch.autograd.functional.jacobian(
        lambda x: flow.transform.encode(x)[0].reshape(2, 4, 4)[0, 0, 0], x
    ).reshape(2, 4, 4)
    assert (first != 0).sum() == 1


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"sizes": TransformerSizes(token_size=2)}, "token_size"),
        ({"ordering": [0, 0, 1]}, "ordering"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, word):
    with pytest.raises(ValueError, match=word):
        CausalTransformer(3, 1, **settings)


@pytest.mark.parametrize("sizes", [{"heads": 3}, {"width": 0}, {"blocks": 1.5}])
def test_wrong_sizes_are_refused_by_name(sizes):
    with pytest.raises(ValueError, match=next(iter(sizes))):
        TransformerSizes(**sizes)
