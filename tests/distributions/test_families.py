"""Families against torch.distributions and scipy, their statistics, and objects of torch's."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from anabranch.contracts import Integers, Interval
from anabranch.contracts.domain import REAL, UNIT
from anabranch.distributions import (
    Beta,
    Cauchy,
    ConditionalMixture,
    DiagonalNormal,
    Exponential,
    Flow,
    Gamma,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    LowRankNormal,
    Normal,
    TorchBase,
    TruncatedNormal,
    Uniform,
    entropy,
    kl_divergence,
    mean,
    mode,
)
from anabranch.models import build
from anabranch.transforms import Affine, Elementwise
from tests.registry import perturb, seeded

LOC, SCALE = torch.tensor([0.5, -1.0]), torch.tensor([0.8, 2.0])
PLACE = {"loc": LOC, "scale": SCALE}
TWINS = {
    "laplace": (Laplace(2, **PLACE), td.Laplace(LOC, SCALE)),
    "cauchy": (Cauchy(2, **PLACE), td.Cauchy(LOC, SCALE)),
    "gumbel": (Gumbel(2, **PLACE), td.Gumbel(LOC, SCALE)),
    "exponential": (Exponential(2, rate=SCALE), td.Exponential(SCALE)),
    "gamma": (Gamma(2, concentration=SCALE, rate=3.0), td.Gamma(SCALE, torch.tensor(3.0))),
    "beta": (Beta(2, alpha=SCALE, beta=3.0), td.Beta(SCALE, torch.tensor(3.0))),
}
SCIPY = {
    "normal to the half": (TruncatedNormal(1, Interval(0.0)), stats.truncnorm(0, np.inf)),
    "interval": (
        TruncatedNormal(1, Interval(-1.0, 2.0), loc=0.5, scale=0.75),
        stats.truncnorm(-2.0, 2.0, 0.5, 0.75),
    ),
    "far tail": (TruncatedNormal(1, Interval(9.0, 11.0)), stats.truncnorm(9, 11)),
    "far lower tail": (TruncatedNormal(1, Interval(-11.0, -9.0)), stats.truncnorm(-11, -9)),
    "generalised": (
        GeneralizedNormal(1, power=3.5, loc=0.5, scale=0.75),
        stats.gennorm(3.5, 0.5, 0.75),
    ),
    "gamma": (Gamma(1, concentration=0.75, rate=2.0), stats.gamma(0.75, scale=0.5)),
}


@pytest.mark.parametrize("name", TWINS)
def test_densities_and_statistics_are_those_of_torch(name):
    ours, theirs = TWINS[name]
    x = theirs.sample((50,))
    expected = theirs.log_prob(x).sum(-1)
    torch.testing.assert_close(ours.log_prob(x), expected, rtol=1e-4, atol=1e-4)
    if hasattr(ours, "cdf") and name != "beta":
        torch.testing.assert_close(ours.cdf(x), theirs.cdf(x), rtol=1e-4, atol=1e-5)
        shares = torch.rand(20, 2, generator=seeded(0)) * 0.98 + 0.01
        torch.testing.assert_close(ours.cdf(ours.icdf(shares)), shares, rtol=1e-4, atol=1e-4)
    found, error = entropy(ours)
    assert error == 0
    torch.testing.assert_close(found, theirs.entropy().sum())
    assert torch.equal(mean(ours).value, theirs.mean) or name == "cauchy"
    if name not in ("beta", "gamma"):
        assert torch.equal(mode(ours), theirs.mode.expand(2))


@pytest.mark.parametrize("name", SCIPY)
def test_densities_are_those_of_scipy(name):
    ours, theirs = SCIPY[name]
    x = theirs.ppf(np.linspace(0.01, 0.99, 25))
    ours = ours.double()
    points = torch.tensor(x).unsqueeze(-1)
    assert ours.log_prob(points).numpy() == pytest.approx(theirs.logpdf(x), abs=1e-8)
    assert ours.cdf(points).squeeze(-1).numpy() == pytest.approx(theirs.cdf(x), abs=1e-8)
    back = ours.icdf(torch.linspace(0.01, 0.99, 25, dtype=torch.float64).unsqueeze(-1))
    assert back.squeeze(-1).numpy() == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_generalised_normal_holds_laplace_and_normal(power):
    ours = GeneralizedNormal(1, power=power, scale=math.sqrt(2) if power == 2 else 1.0)
    x = torch.linspace(-3, 3, 9).unsqueeze(-1)
    expected = Normal(1) if power == 2 else Laplace(1)
    torch.testing.assert_close(ours.log_prob(x), expected.log_prob(x))


def test_parameters_are_refused_by_name():
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        Laplace(2, scale=0)
    with pytest.raises(ValueError, match="loc must be finite, got nan"):
        Gumbel(2, loc=math.nan)
    with pytest.raises(ValueError, match=r"rate must be a number or broadcast to \(2,\), got .*3"):
        Gamma(2, rate=torch.ones(3))
    with pytest.raises(ValueError, match=r"power must be at least 1, got 0.5"):
        GeneralizedNormal(2, power=0.5)
    with pytest.raises(ValueError, match="rank must be at most the number of features 2, got 3"):
        LowRankNormal(2, 3)
    with pytest.raises(TypeError, match="domain must be an interval"):
        TruncatedNormal(2, Integers())


def test_draws_of_families_carry_gradients_to_what_made_them():
    normal = perturb(LowRankNormal(3, 2, generator=seeded(0)))
    normal.rsample(50).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in normal.parameters())


def test_low_rank_normals_are_normals():
    normal = perturb(LowRankNormal(4, 2, generator=seeded(0)).double())
    x = torch.randn(6, 4, dtype=torch.float64)
    full = td.MultivariateNormal(normal.loc.squeeze(0), normal.covariance)
    torch.testing.assert_close(normal.log_prob(x), full.log_prob(x))
    torch.testing.assert_close(entropy(normal).value, full.entropy())
    drawn = normal.sample(40_000, generator=seeded(0))
    assert (torch.cov(drawn.T) - normal.covariance).abs().max() < 0.06 * normal.covariance.max()


# --- statistics ---------------------------------------------------------------------------------


def test_without_a_formula_draws_tell_with_their_error():
    exact = entropy(Laplace(1)).value
    wrapped = Flow(Laplace(1), Elementwise(Affine(), 1))  # the identity, of which nobody knows
    found, error = entropy(wrapped, n=20_000, generator=seeded(0))
    assert 0 < error < 0.01
    assert abs(found - exact) < 4 * error
    centre, spread = mean(wrapped, n=20_000, generator=seeded(0))
    assert centre.shape == (1,)
    assert abs(centre) < 4 * spread
    with pytest.raises(TypeError, match="no formula of the mode of a Flow"):
        mode(wrapped)


def test_divergences_are_closed_or_estimated():
    p, q = Normal(2), Normal(2, std=2.0)
    closed, error = kl_divergence(p, q)
    assert error == 0
    assert closed == pytest.approx(2 * (math.log(2) + 1 / 8 - 1 / 2))
    hidden = Flow(q, Elementwise(Affine(), 2))
    found, error = kl_divergence(p, hidden, n=20_000, generator=seeded(0))
    assert abs(found - closed) < 4 * error < 0.1
    learned = perturb(DiagonalNormal(2))
    moments = learned.loc.squeeze(0), learned._moments(None)[1].exp().squeeze(0)
    expected = td.kl_divergence(td.Normal(*moments), td.Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(kl_divergence(learned, p).value, expected)
    assert kl_divergence(Uniform(2), Uniform(2, Interval(-1.0, 1.0))).value == pytest.approx(
        2 * math.log(2)
    )
    with pytest.raises(ValueError, match=r"p is over events \(2,\), q over \(3,\)"):
        kl_divergence(p, Normal(3))
    # no formula for the pair: draws
    assert kl_divergence(Logistic(1), Laplace(1), generator=seeded(0)).standard_error > 0


# --- torch.distributions ------------------------------------------------------------------------


def test_any_torch_distribution_is_a_base():
    mixing = torch.tensor([[1.0, 0.3], [0.3, 2.0]])
    normal = td.MultivariateNormal(torch.zeros(2), mixing)
    for given, event in (
        (td.Independent(td.Laplace(torch.zeros(3), torch.ones(3)), 1), (3,)),
        (td.Gumbel(0.0, 2.0), (1,)),
        (normal, (2,)),
        (td.Dirichlet(torch.tensor([2.0, 3.0])), (2,)),
        (td.Gamma(torch.ones(2), 1.0), (2,)),
        (td.Uniform(-torch.ones(2), 2.0), (2,)),
        (td.Poisson(torch.ones(2)), (2,)),
        (td.Bernoulli(probs=torch.full((2,), 0.3)), (2,)),
    ):
        base = TorchBase(given)
        assert base.event_shape == event
        before = torch.get_rng_state()
        x = base.sample(30, generator=seeded(0))
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(x, base.sample(30, generator=seeded(0)))
        expected = given.log_prob(x.squeeze(-1) if event == (1,) else x)
        expected = expected.flatten(1).sum(1) if expected.ndim > 1 else expected
        torch.testing.assert_close(base.log_prob(x), expected)
        assert base.domain.contains(x).all()
    domains = [TorchBase(d).domain for d in (normal, td.Beta(torch.ones(1), 1.0), td.Gamma(1.0, 1))]
    assert domains == [REAL, UNIT, Interval(0.0)]
    assert TorchBase(td.Bernoulli(torch.tensor([0.5]))).domain == Integers(2)
    assert TorchBase(td.Poisson(torch.ones(1))).domain == Integers()
    assert TorchBase(td.Gamma(1.0, 1.0)).log_prob(torch.tensor([[-1.0]])) == -torch.inf


def test_a_torch_base_is_learned_saved_and_moved():
    base = TorchBase(td.Normal(torch.zeros(2), torch.ones(2)), trainable=True)
    base.log_prob(torch.ones(3, 2)).sum().backward()
    assert base.loc.grad is not None
    assert base.double().sample(2).dtype == torch.float64
    fresh = TorchBase(td.Normal(torch.ones(2), torch.ones(2)), trainable=True).double()
    fresh.load_state_dict(base.state_dict())
    assert torch.equal(fresh.loc, base.loc)
    with pytest.raises(TypeError, match=r"an object of torch\.distributions, got Normal"):
        TorchBase(Normal(2))
    mixture = td.MixtureSameFamily(td.Categorical(torch.ones(2)), td.Normal(torch.zeros(2), 1.0))
    with pytest.raises(TypeError, match="a MixtureSameFamily is not made of tensors alone"):
        TorchBase(mixture)


def test_a_flow_is_an_object_of_torch():
    flow = perturb(build("realnvp", features=2, context_features=3, hidden=[8], seed=0))
    context = torch.randn(5, 3, generator=seeded(0))
    view = flow.to_torch(context)
    assert (view.batch_shape, view.event_shape) == ((5,), (2,))
    x = view.sample((4,))
    assert x.shape == (4, 5, 2)
    assert torch.equal(view.log_prob(x), flow.log_prob(x, context))
    assert view.rsample((4,)).requires_grad
    assert not x.requires_grad
    both = td.Independent(view, 1)
    assert both.log_prob(x).shape == (4,)
    assert view.support.check(x).all()
    moved = td.TransformedDistribution(view, td.AffineTransform(1.0, 2.0))
    assert moved.log_prob(x).shape == (4, 5)
    with pytest.raises(ValueError, match="context"):
        flow.to_torch()
    with pytest.raises(ValueError, match=r"one distribution, not of batch_shape \(3,\)"):
        Normal(2, batch_shape=(3,)).to_torch()
    assert Normal(2).to_torch().sample().shape == (2,)
    assert Gamma(1).to_torch().support.check(torch.tensor([-1.0])).item() is False


# --- weights by context -------------------------------------------------------------------------


def test_classes_pick_their_densities():
    parts = perturb(DiagonalNormal(2, batch_shape=(3,)))
    classes = ConditionalMixture.of_classes(parts)
    x = torch.randn(6, 2, generator=seeded(0))
    each = parts.log_prob(x)
    for k in range(3):
        told = torch.eye(3)[k].expand(6, 3)
        torch.testing.assert_close(classes.log_prob(x, told), each[k])
    shares = torch.tensor([0.2, 0.3, 0.5])
    expected = torch.logsumexp(each + shares.log().unsqueeze(-1), 0)
    torch.testing.assert_close(classes.log_prob(x, shares.expand(6, 3)), expected)
    with torch.no_grad():
        parts.loc.copy_(10.0 * torch.arange(3.0).reshape(3, 1, 1))
    drawn = classes.sample((200,), torch.eye(3), seeded(0))
    assert drawn.shape == (200, 3, 2)
    assert (drawn.mean((0, 2)) - torch.tensor([0.0, 10.0, 20.0])).abs().max() < 0.5


def test_weights_follow_the_context():
    parts = DiagonalNormal(1, batch_shape=(2,))
    with torch.no_grad():
        parts.loc.copy_(torch.tensor([-5.0, 5.0]).reshape(2, 1, 1))
    mixture = perturb(ConditionalMixture(parts, 1, hidden=(8,), generator=seeded(0)))
    with torch.no_grad():
        parts.loc.copy_(torch.tensor([-5.0, 5.0]).reshape(2, 1, 1))
    context = torch.tensor([[-2.0], [2.0]])
    weights = mixture.log_weights(context).exp()
    assert (weights[0] - weights[1]).abs().max() > 0.02
    drawn = mixture.sample(4000, context, seeded(1)).squeeze(-1)
    assert ((drawn > 0).double().mean(0) - weights[:, 1]).abs().max() < 0.04
    with pytest.raises(ValueError, match=r"components must have a batch_shape \(K,\), got \(\)"):
        ConditionalMixture(Normal(2), 3)
