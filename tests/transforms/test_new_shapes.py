"""Transforms that change shapes, hold distributions or leave the line, against closed forms."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from anabranch.contracts import Distribution
from anabranch.contracts.domain import CIRCLE, UNIT, Integers
from anabranch.distributions import (
    DiagonalNormal,
    DiscretizedLogistic,
    Flow,
    Logistic,
    Normal,
    Uniform,
)
from anabranch.networks import ConvNet
from anabranch.transforms import (
    Additive,
    Augment,
    Autoregressive,
    Channels,
    Checkerboard,
    Compose,
    Coupling,
    Elementwise,
    FactorOut,
    Half,
    IntegerShift,
    InvertibleConv,
    LULinear,
    Mask,
    Moebius,
    Pad,
    Reshape,
    Squeeze,
    StructuredAffine,
    UniformDequantization,
    VAELayer,
    VariationalDequantization,
    Wavelet,
)
from tests.battery import check_section, jacobian, same
from tests.registry import perturb, seeded

IMAGE = (2, 4, 6)
X = torch.randn(5, *IMAGE, generator=seeded(0), dtype=torch.float64)


def double(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


# --- shapes -------------------------------------------------------------------------------------


def test_reshape_keeps_the_order():
    z, term = Reshape(48, IMAGE).encode(X.flatten(1))
    assert torch.equal(z, X)
    assert not term.any()
    with pytest.raises(ValueError, match=r"event_shape 5 holds 5 numbers, latent_shape 4 holds 4"):
        Reshape(5, 4)


def test_squeeze_has_the_order_of_the_paper():
    z, _ = Squeeze(IMAGE).encode(X)
    for channel in range(2):
        for a in range(2):
            for b in range(2):
                assert torch.equal(z[:, 4 * channel + 2 * a + b], X[:, channel, a::2, b::2])
    board = Checkerboard(IMAGE).split(torch.ones(1, *IMAGE))[0]
    halves = Squeeze(IMAGE).encode(board)[0].unflatten(1, (2, 4)).sum((3, 4))[0]
    assert (halves[:, :2].sum(-1) == halves[:, 2:].sum(-1)).all(), "as redundant as a board"


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 4, 7)])
def test_what_does_not_divide_is_refused(shape):
    for kind in (Squeeze, Wavelet):
        with pytest.raises(ValueError, match=f"side 2 do not tile an image of {shape[1]} x"):
            kind(shape)
    with pytest.raises(ValueError, match="name must be one of"):
        Wavelet(IMAGE, "sinc")


@pytest.mark.parametrize("name", ["haar", "db2"])
def test_wavelets_are_orthonormal_and_see_smooth_images_in_their_means(name):
    transform = Wavelet(IMAGE, name)
    z, term = transform.encode(X)
    assert not term.any()
    same(z.square().sum((1, 2, 3)), X.square().sum((1, 2, 3)), 1e-12)
    flat = Compose([Reshape(48, IMAGE), transform, Reshape(transform.latent_shape, 48)])
    matrix = jacobian(lambda x: flat.encode(x)[0], X.flatten(1)[:1])[0]
    same(matrix @ matrix.mT, torch.eye(48, dtype=torch.float64), 1e-12)
    same(transform.encode(torch.ones_like(X))[0][:, ::4], torch.full((5, 2, 2, 3), 2.0).double())
    details = transform.encode(torch.ones_like(X))[0].unflatten(1, (2, 4))[:, :, 1:]
    same(details, torch.zeros_like(details), 1e-12)


def test_haar_by_hand():
    z, _ = Wavelet(IMAGE).encode(X)
    a, b, c, d = (X[:, 0, i::2, j::2] for i in (0, 1) for j in (0, 1))
    same(z[:, 0], (a + b + c + d) / 2, 1e-12)
    same(z[:, 1], (a - b + c - d) / 2, 1e-12)
    same(z[:, 2], (a + b - c - d) / 2, 1e-12)
    same(z[:, 3], (a - b - c + d) / 2, 1e-12)


def test_db2_sees_no_detail_in_a_ramp():
    """Two vanishing moments; where indices go round the ramp jumps."""
    ramp = torch.arange(8.0, dtype=torch.float64).expand(1, 8, 8)
    z, _ = Wavelet((1, 8, 8), "db2").encode(ramp)
    same(z[1, :, :3], torch.zeros(4, 3, dtype=torch.float64), 1e-12)
    assert Wavelet((1, 8, 8)).encode(ramp)[0][1].abs().min() > 0.5


# --- linear maps --------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [1, 2, 12])
def test_lu_without_a_bound_is_any_matrix(features):
    matrix = double(3, features, features)
    transform = LULinear(features, bound=None, batch_shape=(3,)).double()
    transform.set_matrix(matrix)
    x = double(7, features, seed=1)
    z, term = transform.encode(x)
    same(z, x @ matrix.mT, 1e-10)
    same(term, torch.linalg.slogdet(matrix)[1][:, None].expand(3, 7), 1e-10)
    same(transform.matrix(), matrix, 1e-12)
    same(transform.inverse_matrix() @ matrix, torch.eye(features).double().expand_as(matrix), 1e-7)


@pytest.mark.parametrize("features", [2, 12, 64])
def test_lu_may_start_as_a_rotation(features):
    transform = LULinear(features, bound=None, rotation=True, generator=seeded(0)).double()
    matrix = transform.matrix().detach()
    same(matrix @ matrix.mT, torch.eye(features).double(), 1e-4)  # stored in single precision
    same(transform.log_det().detach(), torch.zeros(()).double(), 1e-4)
    assert matrix[0].count_nonzero() == features, "a permutation"


def test_lu_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match=r"a rotation does not fit within a bound, got bound=3\.0"):
        LULinear(3, rotation=True)
    with pytest.raises(ValueError, match=r"set only where nothing is bounded, got 3\.0"):
        LULinear(3).set_matrix(torch.eye(3))
    with pytest.raises(ValueError, match="singular"):
        LULinear(2, bound=None).set_matrix(torch.ones(2, 2))


@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_invertible_conv_is_a_convolution(batch_shape):
    conv = InvertibleConv(
        IMAGE, rotation=True, batch_shape=batch_shape, generator=seeded(0)
    ).double()
    perturb(conv, std=0.2)
    z, term = conv.encode(X)
    kernels = conv.linear.matrix().reshape(-1, 2, 2, 1, 1)
    for k, kernel in enumerate(kernels):
        same(z.reshape(-1, *X.shape)[k], nn.functional.conv2d(X, kernel), 1e-12)
        log_det = 24 * torch.linalg.slogdet(kernel[..., 0, 0])[1]
        same(term.reshape(-1, 5)[k], log_det.expand(5), 1e-9)


def test_structured_affine_is_its_matrix():
    transform = perturb(StructuredAffine(5, rank=2, batch_shape=(3,)), std=0.7).double()
    scale = torch.exp(5 * torch.tanh(transform.log_scale / 5))
    matrix = torch.diag_embed(scale.squeeze(-2)) + transform.factor @ transform.factor.mT
    x = double(7, 5)
    z, term = transform.encode(x)
    same(z, (x - transform.loc) @ matrix.mT, 1e-10)
    same(term, torch.linalg.slogdet(matrix)[1][:, None].expand(3, 7), 1e-10)
    same(transform.decode(z)[0], x.expand(3, 7, 5), 1e-9)


@pytest.mark.parametrize("rank", [0, 4])
def test_structured_affine_refuses_other_ranks(rank):
    with pytest.raises(ValueError, match=rf"rank must be in 1\.\.3, got {rank}"):
        StructuredAffine(3, rank=rank)
    with pytest.raises(ValueError, match="bound must be a positive number, got 0"):
        StructuredAffine(3, bound=0)
    with pytest.raises(ValueError, match="must lie within ±5"):
        StructuredAffine(1).set_parameters(torch.zeros(1), torch.full((1,), 6.0), torch.ones(1, 1))


# --- distributions inside transforms ------------------------------------------------------------


def conditional(batch_shape=()):
    """A prior for one channel, learned from the other by convolutions."""
    prior = DiagonalNormal(
        (1, 4, 6),
        context_features=(1, 4, 6),
        conditioner=partial(ConvNet, channels=3),
        batch_shape=batch_shape,
        generator=seeded(1),
    )
    return perturb(prior).double()


def test_factor_out_equals_the_joint_density():
    prior = conditional()
    flow = Flow(Normal((1, 4, 6)).double(), FactorOut(Channels(IMAGE), prior))
    assert flow.exact
    assert not flow.stochastic
    loc, log_scale = prior.conditioner(X[:, :1]).chunk(2, 1)
    log_scale = 5 * torch.tanh(log_scale / 5)
    gone = torch.distributions.Normal(loc, log_scale.exp()).log_prob(X[:, 1:])
    kept = torch.distributions.Normal(*torch.tensor([0.0, 1.0]).double()).log_prob(X[:, :1])
    same(flow.log_prob(X), (gone + kept).sum((1, 2, 3)), 1e-9)
    x, log_prob = flow.sample_and_log_prob((2, 3), generator=seeded(2))
    same(flow.log_prob(x), log_prob, 1e-9)


def test_factor_out_of_features_draws_the_joint_gaussian():
    """x_B | x_A ~ N(2 x_A, 1), so that cov(x_A, x_B) = 2 and var(x_B) = 5."""

    class Doubled(Distribution):
        def __init__(self):
            super().__init__(1, context_shape=1)

        def _log_prob(self, x, context, generator):
            return torch.distributions.Normal(2 * context, 1.0).log_prob(x).sum(-1)

        def _sample(self, n, context, generator):
            return 2 * context + torch.randn(n, 1, generator=generator)

    for split in (Half(2), Half(2, 1)):
        x = Flow(Normal(1), FactorOut(split, Doubled())).sample(20_000, generator=seeded(3))
        a, b = x.mT if split.moves[1] else x.flip(-1).mT
        assert abs(b.var().item() - 5) < 0.2
        assert abs((a * b).mean().item() - 2) < 0.1


@pytest.mark.parametrize("stacked", [False, True])
def test_factor_out_section_with_components(stacked):
    prior = conditional((3,) if stacked else ())
    transform = FactorOut(Channels(IMAGE, 1), prior)
    z = double(4, 1, 4, 6, seed=4)
    check_section(transform, z, tolerance=1e-9)
    own = double(3, 4, 1, 4, 6, seed=5)
    check_section(transform, own, tolerance=1e-9)
    plain = FactorOut(Mask([True, False, True]), Normal(2, batch_shape=(3,) * stacked).double())
    check_section(plain, double(3, 4, 1), tolerance=1e-9)
    check_section(plain, double(4, 1), tolerance=1e-9)


def test_a_flow_of_two_scales():
    levels = [
        Squeeze((1, 4, 4)),
        Coupling(
            Additive(),
            (4, 2, 2),
            split=Channels((4, 2, 2)),
            conditioner=partial(ConvNet, channels=4),
        ),
        FactorOut(Channels((4, 2, 2)), Normal((2, 2, 2))),
        InvertibleConv((2, 2, 2), rotation=True, generator=seeded(0)),
    ]
    flow = perturb(Flow(Normal((2, 2, 2)), Compose(levels)), std=0.1).double()
    x, log_prob = flow.sample_and_log_prob(6, generator=seeded(1))
    assert x.shape == (6, 1, 4, 4)
    same(flow.log_prob(x), log_prob, 1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FactorOut(Channels(IMAGE), Normal((2, 4, 6))), r"gives away \(1, 4, 6\)"),
        (
            lambda: FactorOut(Half(3), DiagonalNormal(2, context_features=2)),
            r"keeps \(1,\), the prior takes a context of shape \(2,\)",
        ),
        (lambda: FactorOut(Checkerboard(IMAGE), Normal(IMAGE)), "keeps no smaller image"),
        (lambda: Augment(2, Normal((1, 4, 6))), r"\(1, 4, 6\) does not fit beside .* \(2,\)"),
        (lambda: Augment(2, DiagonalNormal(1, context_features=3)), r"event is of \(2,\)"),
        (lambda: Pad(2, 0), "size must be at least 1"),
        (lambda: Pad(2, 1, std=0.0), "std must be a positive number, got 0.0"),
        (lambda: VariationalDequantization(2, Normal(3)), r"of \(2,\), the noise of \(3,\)"),
        (lambda: VariationalDequantization(2, Normal(2), levels=1), "levels must be at least 2"),
        (
            lambda: VAELayer(
                DiagonalNormal(1, context_features=4), DiagonalNormal(3, context_features=1)
            ),
            r"decoder gives \(3,\), the encoder takes a context of shape \(4,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_augmentation_integrates_back_to_the_density():
    """With u given x and the base jointly normal, E exp(bound) is p(x) whatever q is."""
    noise = perturb(DiagonalNormal(1, context_features=2, generator=seeded(0)), std=0.2).double()
    flow = Flow(Normal(3).double(), Augment(2, noise))
    assert (flow.exact, flow.stochastic) == (False, True)
    x = double(1, 2).expand(20_000, 2)
    bound = flow.log_prob(x, generator=seeded(1))
    truth = Normal(2).double().log_prob(x[:1])
    assert bound.mean() < truth
    assert abs((bound - truth).exp().mean().item() - 1) < 0.03
    z, term = flow.transform.encode(x[:4], generator=seeded(2))
    back, back_term = flow.transform.decode(z)
    same(back, x[:4])
    same(back_term, -term)


def test_augmentation_by_the_right_noise_is_exact():
    flow = Flow(Normal(5), Augment(3, Normal(2))).double()
    x = double(6, 3)
    same(flow.log_prob(x, generator=seeded(0)), Normal(3).double().log_prob(x), 1e-12)
    images = Augment(IMAGE, Normal((1, 4, 6)))
    assert images.latent_shape == (3, 4, 6)
    same(images.double().encode(X)[0][:, :2], X)


def test_pad_has_the_density_of_its_noise():
    pad, x = Pad(2, 3, std=0.1), double(6, 2)
    z, term = pad.encode(x, generator=seeded(0))
    same(z[:, :2], x)
    scale = torch.full((), 0.1, dtype=torch.float64)
    noise = torch.distributions.Normal(torch.zeros_like(scale), scale)
    same(term, -noise.log_prob(z[:, 2:]).sum(-1), 1e-9)
    same(pad.decode(z)[1], -term, 1e-12)
    assert Pad(IMAGE, 2).encode(X)[0].shape == (5, 4, 4, 6)


def test_variational_dequantization_with_logistic_noise_is_the_uniform_one():
    transform = VariationalDequantization(2, Logistic(2), levels=8).double()
    x = torch.randint(0, 8, (2000, 2), generator=seeded(0)).double()
    z, term = transform.encode(x, generator=seeded(1))
    same(term, UniformDequantization(2, levels=8).encode(x)[1], 1e-9)
    assert stats.kstest((8 * z - x).flatten().numpy(), "uniform").pvalue > 1e-3
    assert transform.codomain == UNIT


def test_variational_dequantization_bounds_the_probability():
    """Under a uniform base each integer has probability 1 / n, and q gives a bound of that."""
    noise = perturb(DiagonalNormal(1, context_features=1, generator=seeded(0)), std=0.1).double()
    flow = Flow(Uniform(1).double(), VariationalDequantization(1, noise, levels=4))
    x = torch.arange(4.0).double().repeat(20_000).unsqueeze(-1)
    bound = flow.log_prob(x, generator=seeded(1)).reshape(-1, 4)
    assert (bound.mean(0) < -math.log(4)).all()
    same(bound.exp().mean(0), torch.full((4,), 0.25).double(), 0.02)
    assert flow.discrete
    z, term = flow.transform.encode(x[:4], generator=seeded(2))
    back, back_term = flow.transform.decode(z)
    same(back, x[:4])
    same(back_term, -term, 1e-6)


class Linear(Distribution):
    """x | z ~ N(a z, s²), in closed form."""

    def __init__(self, weight, scale):
        super().__init__(weight.shape[0], context_shape=weight.shape[1])
        self.register_buffer("weight", weight)
        self.scale = scale

    def _normal(self, context):
        return torch.distributions.Normal(context @ self.weight.mT, self.scale)

    def _log_prob(self, x, context, generator):
        return self._normal(context).log_prob(x).sum(-1)

    def _sample(self, n, context, generator):
        loc = self._normal(context).loc
        return loc + self.scale * torch.randn(loc.shape, generator=generator, dtype=loc.dtype)


def test_vae_layer_with_the_true_posterior_is_the_marginal_likelihood():
    """Factor analysis with one factor: x = a z + s e; z | x is normal as well."""
    weight, scale = double(3, 1), 0.5
    precision = 1 + float(weight.mT @ weight) / scale**2
    encoder = Linear(weight.mT / scale**2 / precision, precision**-0.5)
    flow = Flow(Normal(1).double(), VAELayer(encoder, Linear(weight, scale)))
    x = flow.sample(7, generator=seeded(0))
    covariance = weight @ weight.mT + scale**2 * torch.eye(3)
    truth = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance)
    same(flow.log_prob(x, generator=seeded(1)), truth.log_prob(x), 1e-9)
    assert (flow.exact, flow.stochastic) == (False, True)
    wrong = Flow(flow.base, VAELayer(Linear(0 * weight.mT, 1.0), Linear(weight, scale)))
    many = wrong.log_prob(x[:1].expand(40_000, 3), generator=seeded(2))
    assert many.mean() < truth.log_prob(x[:1]) - 0.1, "no bound"


# --- circles and integers -----------------------------------------------------------------------


def test_one_moebius_map_of_the_uniform_is_the_wrapped_cauchy():
    flow = Flow(Uniform(1, CIRCLE), Elementwise(Moebius(components=1), 1)).double()
    u, v, angle = 0.8, -0.5, 1.3
    with torch.no_grad():
        flow.transform.params.copy_(torch.tensor([[0.0], [u], [v], [angle]], dtype=torch.float64))
    shrink = 0.99 / math.hypot(1, u, v)
    rho, mu = shrink * math.hypot(u, v), math.atan2(v, u)
    x = torch.linspace(0, 2 * math.pi, 101, dtype=torch.float64)[:-1].unsqueeze(-1)
    density = (1 - rho**2) / (2 * math.pi * (1 + rho**2 - 2 * rho * torch.cos(x - mu)))
    same(flow.log_prob(x), density.log().squeeze(-1), 1e-10)
    draws = flow.sample(2000, generator=seeded(0)).squeeze(-1).numpy()
    cauchy = stats.wrapcauchy(rho)
    assert stats.kstest(np.mod(draws - mu, 2 * math.pi), cauchy.cdf).pvalue > 1e-3


def test_moebius_is_a_bijection_of_the_circle():
    moebius = Moebius(components=3)
    params = double(moebius.n_params, 1, seed=1)
    x = torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)[:-1]
    z, log_slope = moebius.encode(x, params)
    steps = torch.remainder(z.roll(-1) - z, 2 * math.pi)
    same(steps.sum(), torch.tensor(2 * math.pi).double(), 1e-6)
    assert (steps > 0).all()
    back, back_slope = moebius.decode(z, params)
    distance = torch.remainder(back - x + math.pi, 2 * math.pi) - math.pi
    same(distance, torch.zeros_like(x), 1e-9)
    same(back_slope, -log_slope, 1e-9)
    with pytest.raises(ValueError, match=r"bound must be in \(0, 1\), got 1\.0"):
        Moebius(bound=1.0)


def test_autoregressive_circles_live_on_a_torus():
    flow = Flow(Uniform(2, CIRCLE), Autoregressive(Moebius(2), 2, hidden=(8,)))
    flow = perturb(flow, std=0.5).double()
    axis = torch.linspace(0, 2 * math.pi, 201, dtype=torch.float64)[:-1]
    grid = torch.cartesian_prod(axis, axis)
    total = flow.log_prob(grid).exp().mean() * (2 * math.pi) ** 2
    same(total.detach(), torch.ones(()).double(), 1e-6)
    assert flow.domain == CIRCLE
    assert CIRCLE.contains(flow.sample(50, generator=seeded(0))).all()


@pytest.mark.parametrize("structure", [Coupling, Autoregressive, Elementwise])
def test_shifted_integers_keep_their_probabilities(structure):
    base = DiscretizedLogistic(2).double()
    flow = Flow(base, perturb(structure(IntegerShift(), 2, hidden=(8,)), std=1.0).double())
    assert (flow.domain, flow.discrete) == (Integers(), True)
    grid = torch.cartesian_prod(*[torch.arange(-60.0, 61.0).double()] * 2)
    same(flow.log_prob(grid).exp().sum().detach(), torch.ones(()).double(), 1e-6)
    z, _ = flow.transform.encode(grid)
    same(z, z.round(), 1e-12)
    same(flow.transform.decode(z)[0], grid, 1e-12)
    assert (z != grid).any(), "nothing moved"
    flow.log_prob(grid[:50]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in flow.transform.parameters())


def test_integers_do_not_enter_a_continuous_flow():
    with pytest.raises(ValueError, match="base takes points of all integers, the transform gives"):
        Flow(DiscretizedLogistic(2), Coupling(Additive(), 2))


def test_discretized_logistic():
    base = DiscretizedLogistic((2, 3)).double()
    with torch.no_grad():
        base.loc.fill_(0.3)
        base.log_scale.fill_(math.log(2.0))
    x = base.sample(4000, generator=seeded(0))
    values, counts = torch.unique(x, return_counts=True)
    scale = math.exp(5 * math.tanh(math.log(2.0) / 5))
    cell = stats.logistic(0.3, scale)
    p = cell.cdf(values.numpy() + 0.5) - cell.cdf(values.numpy() - 0.5)
    same(
        base.log_prob(torch.zeros(1, 2, 3).double()).detach()[0].exp() ** (1 / 6),
        torch.tensor(cell.cdf(0.5) - cell.cdf(-0.5)).double(),
        1e-9,
    )
    often = p * 24_000 > 5
    expected = p[often] / p[often].sum() * counts.numpy()[often].sum()
    assert stats.chisquare(counts.numpy()[often], expected).pvalue > 1e-3
    far = base.log_prob(torch.full((1, 2, 3), 1e4).double())
    assert torch.isfinite(far).all()
