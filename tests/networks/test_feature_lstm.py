"""Networks that read features one after another: what they see, and turns against one pass."""

from functools import partial

import pytest
import torch

from anabranch.models import iaf
from anabranch.networks import CausalTransformer, FeatureConvolution, FeatureLSTM, select_component
from anabranch.transforms import Affine, Autoregressive
from tests.registry import perturb, seeded

KINDS = [partial(FeatureLSTM, width=5), partial(FeatureConvolution, width=4)]
ORDER = (2, 0, 3, 1)


def made(kind, **settings):
    return perturb(kind(4, 2, generator=seeded(0), **settings)).double()


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_sees_those_before_it_and_no_other(kind):
    net = made(kind, context_features=3, ordering=ORDER)
    x = torch.randn(4, generator=seeded(1), dtype=torch.float64)
    context = torch.ones(1, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda at: net(at[None], context)[0], x)
    place = torch.tensor(ORDER)
    allowed = (place[:, None] > place).repeat(2, 1)
    assert not jacobian[~allowed].any()
    assert (jacobian[allowed].abs() > 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_turns_give_what_one_pass_takes(kind, batch_shape):
    transform = Autoregressive(
        Affine(), 4, conditioner=kind, ordering=ORDER, context_features=3, batch_shape=batch_shape
    )
    transform = perturb(transform).double()
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    context = torch.randn(6, 3, generator=seeded(2), dtype=torch.float64)
    z, term = transform.encode(x, context)
    back, other = transform.decode(z, context)
    torch.testing.assert_close(back, x.expand_as(z))
    torch.testing.assert_close(other, -term)


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_networks_of_their_own(kind):
    net = made(kind, batch_shape=(3,))
    one = made(kind)
    one.load_state_dict({name: value[1] for name, value in net.state_dict().items()})
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    torch.testing.assert_close(net(x)[1], one(x))


@pytest.mark.parametrize("kind", [*KINDS, CausalTransformer])
def test_a_component_is_taken_out_of_a_stack(kind):
    net = made(kind, batch_shape=(3,), ordering=ORDER)
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    torch.testing.assert_close(select_component(net, 1)(x), net(x)[1])


@pytest.mark.parametrize("network", ["lstm", {"name": "pixelcnn", "width": 4}])
def test_it_is_the_network_of_an_inverse_autoregressive_flow(network):
    flow = perturb(iaf(3, n_layers=2, network=network, context_features=2, seed=0)).double()
    context = torch.randn(5, 2, generator=seeded(1), dtype=torch.float64)
    z, log_prob = flow.sample_and_log_prob((), context, seeded(2))
    torch.testing.assert_close(flow.log_prob(z, context), log_prob)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="network must be one of"):
        iaf(3, network="rnn")
    with pytest.raises(TypeError, match="network 'made' has no keywords"):
        iaf(3, network={"name": "made", "width": 3})
    with pytest.raises(ValueError, match=r"ordering must be a permutation of 0..2"):
        FeatureLSTM(3, 2, ordering=(0, 1, 1))
    with pytest.raises(ValueError, match="knows no angles"):
        Autoregressive(Affine(), 3, conditioner=FeatureLSTM, passes=2)
