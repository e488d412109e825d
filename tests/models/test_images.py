"""Image flows: exact densities, shapes of all kinds, components, precision, bad input."""

import math
from math import prod

import pytest
import torch
from torch.nn.functional import conv2d

from anabranch.distributions import Flow, Logistic, tempered
from anabranch.models import build, glow, image_density, realnvp_images
from anabranch.models.images.scales import level_shapes
from anabranch.networks import Conv2d, GatedAttentionNet, GlowNet, select_component
from anabranch.transforms import (
    ActNorm,
    Channels,
    Compose,
    FactorOut,
    InvertibleConv,
    MultiScale,
    Reverse,
    Squeeze,
)
from tests.battery import jacobian, same
from tests.registry import perturb, seeded

GLOW = {"n_steps": 2, "channels": 6}
REALNVP = {"n_couplings": 2, "channels": 4}
FLOWPP = {"n_couplings": [2, 1, 1], "components": 2, "channels": 4, "heads": 2}
RECIPES = [
    ("glow", GLOW),
    ("glow", {**GLOW, "coupling": "additive", "mixing": "shuffle"}),
    ("glow", {**GLOW, "n_levels": 1, "mixing": "reverse"}),
    ("realnvp_images", REALNVP),
    ("realnvp_images", {**REALNVP, "n_levels": 1}),
    ("flowpp", FLOWPP),
]


def images(n, shape, seed=0):
    return torch.randn(n, prod(shape), generator=seeded(seed), dtype=torch.float64)


def made(name, shape, **keywords):
    return perturb(
        build(name, features=prod(shape), image_shape=shape, seed=0, **keywords).double()
    )


@pytest.mark.parametrize("shape", [[1, 6, 6], [3, 4, 4], [2, 4, 6]])
@pytest.mark.parametrize(("name", "keywords"), RECIPES)
def test_the_density_is_that_of_the_jacobian(name, keywords, shape):
    flow, x = made(name, shape, **keywords), images(2, shape)
    flow.initialize(images(20, shape, seed=1))
    flow.eval()
    z, term = flow.transform.encode(x)
    matrix = jacobian(lambda rows: flow.transform.encode(rows)[0], x)
    same(term, torch.linalg.slogdet(matrix)[1], 1e-9)
    same(flow.log_prob(x), flow.base.log_prob(z) + term, 1e-9)
    back, back_term = flow.transform.decode(z)
    same(back, x, 1e-7)
    same(back_term, -term, 1e-9)


@pytest.mark.parametrize("shape", [[28, 28], [8, 4], [3, 6, 10], [12, 2, 2]])
@pytest.mark.parametrize("make", [glow, realnvp_images])
def test_images_of_all_kinds_of_sides(make, shape):
    flow = perturb(make(prod(shape), image_shape=shape, channels=4, seed=0), std=0.02).eval()
    x = torch.randn(2, prod(shape), generator=seeded(0))
    z, _ = flow.transform.encode(x)
    same(flow.transform.decode(z)[0], x, 1e-3)
    assert (z != x).all()


def test_odd_sides_have_one_scale_of_boards():
    flow = realnvp_images(49, image_shape=[7, 7], channels=4, seed=0)
    assert len(flow.transform.transforms[1].scales) == 1
    assert level_shapes((1, 28, 28), None) == [(1, 28, 28), (2, 14, 14)]
    assert level_shapes((3, 32, 32), None) == [(3, 32, 32), (6, 16, 16), (12, 8, 8)]


def test_a_learned_prior_is_the_coupling_that_standardises():
    """Factor-out by a conditional normal gives the same density as the map to standard normals."""
    flow = made("glow", [2, 4, 4], **GLOW).eval()
    x = images(5, [2, 4, 4])
    multi = flow.transform.transforms[1]
    *body, prior = multi.scales[0].transforms
    h, term = Compose(body).encode(x.view(5, 2, 4, 4))
    kept, gone = h[:, :4], h[:, 4:]
    shift, raw = prior.conditioner(kept).unflatten(1, (2, 4)).unbind(1)
    log_scale = 3 * torch.tanh(raw / 3)  # z = gone e^s + t, and so gone ~ N(-t e^-s, e^-2s)
    normal = torch.distributions.Normal(-shift * torch.exp(-log_scale), torch.exp(-log_scale))
    top, top_term = multi.scales[1].encode(kept)
    expected = term + normal.log_prob(gone).sum((1, 2, 3)) + top_term
    expected = expected - 0.5 * (top.square() + math.log(2 * math.pi)).sum(1)
    same(flow.log_prob(x), expected, 1e-9)
    assert isinstance(prior.split, Channels)
    assert not any(isinstance(part, FactorOut) for part in flow.modules())


def test_latents_of_each_scale():
    multi = glow(3 * 64, image_shape=[3, 8, 8], n_steps=1, channels=4).transform.transforms[1]
    parts = multi.parts(torch.arange(192.0).expand(2, -1))
    assert [part.shape[1:] for part in parts] == [(6, 4, 4), (12, 2, 2), (48,)]
    assert torch.equal(torch.cat([part.flatten(1) for part in parts], 1)[0], torch.arange(192.0))


@pytest.mark.parametrize(("name", "keywords"), [RECIPES[0], RECIPES[3], RECIPES[5]])
@pytest.mark.parametrize("context_features", [0, 3])
def test_components_equal_flows_of_their_own(name, keywords, context_features):
    stack = made(
        name, [2, 4, 6], batch_shape=[3], context_features=context_features, **keywords
    ).eval()
    x = images(4, [2, 4, 6])
    context = torch.randn(4, 3, generator=seeded(2), dtype=torch.float64)
    whole = stack.log_prob(x, context if context_features else None)
    for k in range(3):
        one = select_component(stack, k)
        same(whole[k], one.log_prob(x, context if context_features else None), 1e-9)
    drawn = stack.sample(() if context_features else 4, context if context_features else None)
    assert drawn.shape == (3, 4, 48)


def test_components_share_their_fine_scales():
    own, shared = (made("glow", [8, 8], shared_levels=n, batch_shape=[3], **GLOW) for n in (0, 1))
    multi = shared.transform.transforms[1]
    assert multi.scales[0].transforms[1].batch_shape == ()
    assert multi.scales[0].transforms[-1].batch_shape == (3,), "a prior for each component"
    assert multi.scales[1].batch_shape == (3,)
    count = [sum(p.numel() for p in flow.parameters()) for flow in (shared, own)]
    assert count[0] < count[1]
    x = images(5, [8, 8])
    z, term = shared.eval().transform.encode(x)
    assert z.shape == (3, 5, 64)
    back, _ = shared.transform.decode(z)
    same(back, x.expand(3, -1, -1), 1e-6)
    assert not torch.equal(term[0], term[1])


def test_channels_are_normalised_once():
    norm, x = ActNorm((2, 3, 4)), torch.randn(50, 2, 3, 4, generator=seeded(0)) * 5 + 2
    z, term = norm.initialize(x)
    same(z.mean((0, 2, 3)), torch.zeros(2), 1e-5)
    same(z.std((0, 2, 3), correction=0), torch.ones(2), 1e-4)
    same(term[0], -12 * x.std((0, 2, 3), correction=0).log().sum(), 1e-3)
    still = ActNorm((2, 3, 4))
    assert torch.isfinite(still.initialize(torch.full((5, 2, 3, 4), 7.0))[0]).all()


def test_normalisation_and_mixing_are_one_convolution():
    both = perturb(InvertibleConv((3, 4, 6), rotation=True, actnorm=True, generator=seeded(0)))
    x = torch.randn(5, 3, 4, 6, generator=seeded(1))
    z, term = both.encode(x)
    h, first = both.norm.encode(x)
    expected = conv2d(h, both.linear.matrix()[..., None, None])
    same(z, expected, 1e-4)
    same(term, first + 24 * both.linear.log_det(), 1e-4)


@pytest.mark.parametrize("name", ["glow", "realnvp_images"])
def test_networks_round_only_while_they_train(name):
    half, full = (
        made(name, [8, 8], channels=8, half_precision=flag).float() for flag in (True, False)
    )
    x = images(6, [8, 8]).float()
    assert torch.equal(half.eval().log_prob(x), full.eval().log_prob(x))
    rounded, exact = half.train().log_prob(x), full.train().log_prob(x)
    assert not torch.equal(rounded, exact)
    same(rounded, exact, 3.0)
    rounded.sum().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in half.parameters())


def test_lengths_of_kernels():
    plain, normed, zero = (
        Conv2d(2, 3, generator=seeded(0), **how)
        for how in ({}, {"weight_norm": True}, {"weight_norm": True, "zero": True})
    )
    x = torch.randn(4, 2, 5, 5, generator=seeded(1))
    same(normed(x), plain(x), 1e-6)
    assert not zero(x).any()
    zero(x).sum().backward()
    assert zero.length.grad.any(), "it can leave zero"
    with torch.no_grad():
        normed.weight.mul_(7.0)
    same(normed(x), plain(x), 1e-5)


def test_places_differ():
    net = perturb(GlowNet((2, 4, 4), (2, 4, 4), channels=4))
    flat = net(torch.ones(1, 2, 4, 4))[0, 0, 1:3, 1:3]
    assert flat.unique().numel() == 4


def test_gated_attention_sees_every_place_and_drops_only_in_training():
    net = perturb(
        GatedAttentionNet((2, 4, 6), (3, 4, 6), channels=4, patch=2, dropout=0.5).double()
    )
    x = images(1, [2, 4, 6]).view(1, 2, 4, 6)
    net.eval()
    matrix = torch.autograd.functional.jacobian(lambda image: net(image)[0, :, 0, 0], x)
    assert matrix.all()
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))
    fresh = GatedAttentionNet((2, 4, 6), (3, 4, 6), channels=4, heads=0)
    assert not fresh(torch.ones(2, 2, 4, 6)).any()


# --- whole numbers ------------------------------------------------------------------------------


def integers(n, shape, levels, seed=0):
    return torch.randint(levels, (n, prod(shape)), generator=seeded(seed)).double()


def density(shape, **keywords):
    model = image_density(prod(shape), image_shape=shape, seed=0, levels=8, **keywords)
    return perturb(model.double(), std=0.1).eval()


def test_all_of_the_preparation_is_counted():
    model = density([4, 4], flow={"name": "glow", **GLOW}, alpha=0.1)
    x = integers(5, [4, 4], 8)
    uniform, logit, *rest = model.transform.transforms
    s = uniform.encode(x)[0].requires_grad_()
    flow = Flow(model.base, Compose(rest))
    squeezed = 0.1 + 0.8 * s
    z = squeezed.log() - (-squeezed).log1p()
    (slope,) = torch.autograd.grad(z.sum(), s)
    expected = flow.log_prob(z) + slope.log().sum(-1) - 16 * math.log(8)
    same(model.log_prob(x), expected, 1e-9)
    assert not model.exact
    assert logit.alpha == 0.1


def test_variational_noise_starts_uniform_and_then_depends_on_the_image():
    shape, spec = [4, 4], {"name": "glow", **GLOW}
    fresh = image_density(16, image_shape=shape, flow=spec, dequantization="variational", levels=8)
    x = torch.full((4000, 16), 3.0)
    u = fresh.transform.transforms[0].encode(x, generator=seeded(0))[0] * 8 - 3
    same(u.mean(0), torch.full((16,), 0.5), 0.03)
    same(u.var(0), torch.full((16,), 1 / 12), 0.01)
    model = density(shape, flow=spec, dequantization="variational")
    layer, dark = model.transform.transforms[0], torch.zeros(4000, 16).double()
    first, second = (layer.encode(x, generator=seeded(0)) for x in (dark, dark + 7))
    assert (first[0] * 8 - (second[0] * 8 - 7)).abs().mean() > 0.01
    assert torch.equal(layer.decode(first[0])[0], dark)


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
def test_the_bound_leaves_probability_over_none(dequantization):
    """Summed over all images, exp of the bound of log P stays below one."""
    model = density([1, 1, 2], flow={"name": "realnvp"}, dequantization=dequantization)
    grid = torch.cartesian_prod(*[torch.arange(8.0)] * 2).double()
    draws = [model.train().log_prob(grid, generator=seeded(seed)) for seed in range(50)]
    total = torch.stack(draws).mean(0).exp().sum()
    assert 0.05 < total < 1.0
    means = torch.stack(draws).exp().mean(0).sum()
    assert total < means


def test_wrong_dequantization():
    with pytest.raises(ValueError, match="dequantization must be one of"):
        density([4, 4], dequantization="gaussian")
    with pytest.raises(ValueError, match="unknown recipe 'gloom'"):
        density([4, 4], flow="gloom")
    with pytest.raises(ValueError, match="heads must divide channels, got 3 and 8"):
        build("flowpp", features=16, image_shape=[4, 4], channels=8, heads=3)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.0"):
        build("flowpp", features=16, image_shape=[4, 4], dropout=1.0)


BAD = [
    ({"image_shape": [7, 8]}, "7 x 8 is 7 x 8 after 0"),
    ({"image_shape": [28, 28], "n_levels": 3}, "even 3 times over .* 28 x 28 is 7 x 7 after 2"),
    ({"image_shape": [28, 28], "n_levels": 0}, "at least 1 times, got 0"),
    ({"image_shape": [28, 28], "coupling": "cubic"}, "coupling must be one of .*, got 'cubic'"),
    ({"image_shape": [28, 28], "mixing": "none"}, "mixing must be one of"),
    ({"image_shape": [28, 28, 1]}, "must be even"),
]


@pytest.mark.parametrize(("keywords", "said"), BAD)
def test_what_does_not_fit_is_named(keywords, said):
    with pytest.raises(ValueError, match=said):
        glow(prod(keywords["image_shape"]), **keywords)


def test_other_wrong_input():
    with pytest.raises(ValueError, match=r"image_shape \[2, 4\] has 8 pixels, but a row has 9"):
        glow(9, image_shape=[2, 4])
    flow = glow(16, image_shape=[4, 4], context_features=3, **GLOW)
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 16\), got \(1, 25\)"):
        flow.log_prob(torch.zeros(1, 25), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"context must have shape \(\.\.\., 3\), got \(1, 2\)"):
        flow.log_prob(torch.zeros(1, 16), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="MultiScale: scale 1 leaves"):
        MultiScale([Squeeze((1, 4, 4)), Squeeze((1, 2, 2))])
    with pytest.raises(ValueError, match="at least one scale"):
        MultiScale([])
    with pytest.raises(ValueError, match="differ in sides"):
        GlowNet((2, 4, 4), (2, 4, 5))
    with pytest.raises(ValueError, match="must be the size of a vector"):
        GlowNet((2, 4, 4), (2, 4, 4), context_shape=(1, 4, 4))


def test_temperature_reaches_all_scales():
    flow = made("glow", [8, 8], coupling="additive", mixing="shuffle", **GLOW).eval()
    cool, x = tempered(flow, 0.5), images(4, [8, 8])
    gap = cool.log_prob(x) - 4 * flow.log_prob(x)
    volume = flow.transform.encode(x)[1]  # priors scale, so that only they make the volume differ
    same(gap + 3 * volume, (gap + 3 * volume)[:1].expand(4), 1e-9)
    z, _ = flow.transform.encode(cool.sample(2000, generator=seeded(0)))
    stds = [part.std() for part in flow.transform.transforms[1].parts(z)]
    same(torch.stack(stds), torch.full((3,), 0.5).double(), 0.02)
    with pytest.raises(TypeError, match="over a standard normal base"):
        tempered(Flow(Logistic(2), Reverse(2)), 0.5)
    with pytest.raises(ValueError, match="std must be"):
        tempered(flow, 0.0)
