"""Transforms whose ends differ in shape, contexts of any shape, and randomness by argument."""

import math
import re

import pytest
import torch
from torch import nn

from anabranch.contracts import Distribution, Transform
from anabranch.distributions import DiagonalNormal, Flow, Logistic, Mixture, Normal
from anabranch.transforms import (
    ActNorm,
    Compose,
    Inverse,
    Reshape,
    Reverse,
    Squeeze,
    UniformDequantization,
)
from tests.battery import same
from tests.registry import seeded

IMAGE = (1, 4, 4)
X = torch.randn(5, *IMAGE, generator=seeded(0), dtype=torch.float64)


class Scaled(Transform):
    """z = x exp(s) of images, s one number or that of a context image."""

    def __init__(self, shape, *, batch_shape=(), context_shape=()):
        super().__init__(shape, batch_shape=batch_shape, context_shape=context_shape)
        log_scale = torch.linspace(0.1, 0.3, math.prod(batch_shape)).reshape(*batch_shape, 1)
        self.log_scale = nn.Parameter(log_scale.double())

    def _move(self, x, context, sign):
        log_scale = self.log_scale[..., None, None, None].expand(*self.batch_shape, 1, *IMAGE)
        if context is not None:
            log_scale = log_scale + context
        y = x * torch.exp(sign * log_scale)
        return y, sign * log_scale.sum((-3, -2, -1)).expand(y.shape[:-3])

    def _encode(self, x, context, generator):
        return self._move(x, context, 1)

    def _decode(self, z, context, generator):
        return self._move(z, context, -1)


class Jitter(Transform):
    """Adds noise and counts nothing: a term that is random and no likelihood."""

    exact, stochastic, bijective = False, True, False

    def _encode(self, x, context, generator):
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype)
        return x + noise, noise.sum(-1)

    def _decode(self, z, context, generator):
        return z, z.new_zeros(z.shape[:-1])


# --- shapes of the two ends ---------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,)])
def test_each_direction_leads_to_the_shape_of_the_other_end(lead):
    chain = Compose([Reshape(16, IMAGE), Squeeze(IMAGE), Squeeze((4, 2, 2))])
    assert (chain.event_shape, chain.latent_shape) == ((16,), (16, 1, 1))
    z, term = chain.encode(torch.zeros(*lead, 16))
    x, _ = chain.decode(z)
    assert (z.shape, term.shape, x.shape) == ((*lead, 16, 1, 1), lead, (*lead, 16))


def test_inverse_swaps_the_ends():
    inverse = Inverse(Squeeze(IMAGE))
    assert (inverse.event_shape, inverse.latent_shape) == ((4, 2, 2), IMAGE)
    back, _ = inverse.encode(Squeeze(IMAGE).encode(X)[0])
    assert torch.equal(back, X)


def test_compose_names_both_sides_of_a_joint_that_does_not_fit():
    parts = [Scaled((1, 28, 28)), Squeeze((1, 28, 28)), Reverse((1, 28, 28))]
    message = "Compose: part 2 gives (4, 14, 14), part 3 takes (1, 28, 28)"
    with pytest.raises(ValueError, match=re.escape(message)):
        Compose(parts)


def test_flow_names_both_sides_of_a_joint_that_does_not_fit():
    with pytest.raises(ValueError, match=r"base takes \(16,\), the transform gives \(4, 2, 2\)"):
        Flow(Normal(16), Squeeze(IMAGE))


@pytest.mark.parametrize("wrong", [(5, 4, 4), (5, 1, 4, 5), (4,)])
def test_a_wrong_shape_names_that_of_its_own_end(wrong):
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 1, 4, 4\), got \("):
        Squeeze(IMAGE).encode(torch.zeros(wrong))
    with pytest.raises(ValueError, match=r"z must have shape \(\.\.\., 4, 2, 2\), got \("):
        Squeeze(IMAGE).decode(torch.zeros(wrong))


@pytest.mark.parametrize("wrong", [-1, (3, -2), (2.0,), (True, 2)])
def test_a_shape_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="event_shape must be a size or a shape in integers"):
        Scaled(wrong)
    with pytest.raises(ValueError, match="event_shape must be a size or a shape in integers"):
        Normal(wrong)


def test_a_flow_whose_ends_differ_equals_its_closed_form_and_samples():
    flow = Flow(Normal((4, 2, 2)), Compose([Scaled(IMAGE), Squeeze(IMAGE)])).double()
    scale = torch.exp(-flow.transform.transforms[0].log_scale.detach())
    expected = torch.distributions.Normal(0.0, scale).log_prob(X).sum((1, 2, 3))
    same(flow.log_prob(X), expected)
    x, log_prob = flow.sample_and_log_prob((2, 3), generator=seeded(1))
    assert x.shape == (2, 3, *IMAGE)
    same(flow.log_prob(x), log_prob)


def test_stacked_ends_of_unlike_shapes():
    chain = Compose([Scaled(IMAGE, batch_shape=(3,)), Squeeze(IMAGE)])
    z, term = chain.encode(X)
    assert (z.shape, term.shape) == ((3, 5, 4, 2, 2), (3, 5))
    same(chain.decode(z)[0], X.expand(3, *X.shape))
    flow = Flow(Normal((4, 2, 2)).double(), chain)
    assert flow.log_prob(X).shape == (3, 5)
    assert flow.sample(7).shape == (3, 7, *IMAGE)
    mixture = Mixture(flow)
    assert mixture.sample(4).shape == (4, *IMAGE)
    same(mixture.log_prob(X), flow.log_prob(X).logsumexp(0) - math.log(3))


# --- bases over events of any shape -------------------------------------------------------------


@pytest.mark.parametrize("kind", [Normal, Logistic, DiagonalNormal])
@pytest.mark.parametrize("shape", [3, (3,), (3, 2, 2), ()])
def test_bases_take_any_event_shape(kind, shape):
    base = kind(shape).double()
    event = (shape,) if isinstance(shape, int) else shape
    x, log_prob = base.sample_and_log_prob((2, 5), generator=seeded(2))
    assert x.shape == (2, 5, *event)
    one = kind(1).double()
    numbers = one.log_prob(x.reshape(-1, 1)).reshape(10, -1)
    same(log_prob.flatten(), numbers.sum(-1))
    same(base.log_prob(x), log_prob)


@pytest.mark.parametrize("kind", [Normal, Logistic, DiagonalNormal])
def test_stacked_bases_over_images(kind):
    base = kind((3, 2, 2), batch_shape=(4,))
    assert base.sample(5).shape == (4, 5, 3, 2, 2)
    assert base.log_prob(torch.zeros(5, 3, 2, 2)).shape in ((4, 5), (5,))


def test_normal_over_images_draws_as_over_rows():
    images = Normal((3, 2, 2)).sample(5, generator=seeded(3))
    assert torch.equal(images.flatten(1), Normal(12).sample(5, generator=seeded(3)))


# --- contexts -----------------------------------------------------------------------------------


def test_a_context_may_be_an_image():
    transform = Scaled(IMAGE, context_shape=IMAGE)
    context = torch.randn(3, *IMAGE, generator=seeded(4), dtype=torch.float64)
    z, term = transform.encode(X[:3], context)
    log_scale = transform.log_scale + context
    same(z, X[:3] * log_scale.exp())
    same(term, log_scale.sum((1, 2, 3)))
    flow = Flow(Normal(IMAGE).double(), transform)
    x, log_prob = flow.sample_and_log_prob(2, context, generator=seeded(5))
    assert x.shape == (2, 3, *IMAGE)
    same(flow.log_prob(x, context), log_prob)
    wide = flow.log_prob(X[:, None], context)  # every image under every context
    assert wide.shape == (5, 3)
    same(wide[4, 1], flow.log_prob(X[4], context[1]))
    mixture = Mixture([flow, Normal(IMAGE).double()])
    assert mixture.context_shape == IMAGE
    assert mixture.sample(3, context[0]).shape == (3, *IMAGE)


def test_a_stack_under_image_contexts():
    transform = Scaled(IMAGE, batch_shape=(2,), context_shape=IMAGE)
    shared, own = X.roll(1, 0), torch.stack((X, 2 * X))
    for context in (shared, own):
        z, _ = transform.encode(X, context)
        for k in range(2):
            each = context if context is shared else context[k]
            same(z[k], X * torch.exp(transform.log_scale[k] + each))
    flow = Flow(Normal(IMAGE, batch_shape=(2,)).double(), transform)
    assert flow.sample(3, own).shape == (2, 3, 5, *IMAGE)


def test_a_wrong_image_context_names_both_shapes():
    transform = Scaled(IMAGE, context_shape=IMAGE)
    with pytest.raises(ValueError, match=r"context of shape \(\.\.\., 1, 4, 4\) is required"):
        transform.encode(X)
    message = r"context must have shape \(\.\.\., 1, 4, 4\), got \(5, 16\)"
    for call in (transform.encode, Flow(Normal(IMAGE).double(), transform).log_prob):
        with pytest.raises(ValueError, match=message):
            call(X, X.flatten(1))


def test_parts_of_unlike_contexts_are_refused():
    other = DiagonalNormal(IMAGE, context_features=2)
    with pytest.raises(ValueError, match=r"shape \(2,\), the transform one of shape \(1, 4, 4\)"):
        Flow(other, Scaled(IMAGE, context_shape=IMAGE))
    with pytest.raises(ValueError, match="agree in context"):
        Compose([Scaled(IMAGE, context_shape=IMAGE), Scaled(IMAGE, context_shape=3)])


def test_context_features_are_the_size_of_a_vector():
    assert Scaled(IMAGE, context_shape=3).context_features == 3
    assert Scaled(IMAGE).context_features == 0
    with pytest.raises(ValueError, match=r"a vector context is needed.*\(1, 4, 4\)"):
        _ = Scaled(IMAGE, context_shape=IMAGE).context_features


# --- randomness ---------------------------------------------------------------------------------


def test_the_generator_reaches_every_stochastic_part():
    inner = Compose([Reverse(3), Compose([Jitter(3), Reverse(3)])])
    flow = Flow(Flow(Normal(3), Jitter(3)), inner)
    mixture = Mixture([flow, Normal(3)])
    assert inner.stochastic
    assert flow.stochastic
    assert mixture.stochastic
    assert not Mixture(Normal(3)).stochastic
    x, before = torch.zeros(4, 3), torch.get_rng_state()
    for call in (
        inner.encode,
        flow.log_prob,
        mixture.log_prob,
        mixture.joint_log_prob,
        mixture.log_posterior,
        mixture.component_log_prob,
    ):
        first, again, other = (call(x, generator=seeded(seed)) for seed in (0, 0, 1))
        first, again, other = (r[0] if isinstance(r, tuple) else r for r in (first, again, other))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    flow.sample_and_log_prob(3, generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), before), "no global source is touched"


def test_exact_and_stochastic_are_two_things():
    assert not Reverse(3).stochastic
    dequantization = UniformDequantization(3)
    assert (dequantization.exact, dequantization.stochastic) == (False, True)
    assert isinstance(Normal(1), Distribution)


# --- initialisation -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["flow", "base", "group"])
def test_one_call_initialises_whatever_is_inside(where):
    norm = ActNorm(2).double()
    x = 3 * torch.randn(200, 2, generator=seeded(0), dtype=torch.float64) + 7
    inner = Flow(Normal(2).double(), Compose([Reverse(2), norm]))
    outer = {
        "flow": inner,
        "base": Flow(inner, Reverse(2)),
        "group": Mixture([Normal(2).double(), inner]),
    }[where]
    assert outer.initialize(x) is None
    z, _ = norm.encode(x if where == "base" else x.flip(-1))
    same(z.mean(0), torch.zeros(2).double(), 1e-9)
    same(z.std(0, correction=0), torch.ones(2).double(), 1e-9)
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\)"):
        outer.initialize(x[:, :1])
