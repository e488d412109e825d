"""Marginal distribution functions against closed forms and their own densities."""

import pytest
import torch

from anabranch.contracts import Circle, Interval, Marginal
from anabranch.contracts.domain import CIRCLE, UNIT
from anabranch.distributions import (
    Bernoulli,
    DiagonalNormal,
    Flow,
    GaussianMixtureHead,
    LaplaceMixtureHead,
    Logistic,
    Mixture,
    Normal,
    Uniform,
)
from anabranch.transforms import Reverse
from tests.battery import same
from tests.registry import perturb, seeded

U = torch.linspace(0.001, 0.999, 50, dtype=torch.float64)
HEADS = [GaussianMixtureHead(3), LaplaceMixtureHead(4), GaussianMixtureHead(1)]


def mixture(features=1):
    groups = [
        DiagonalNormal(features, batch_shape=(2,)),
        Logistic(features),
        DiagonalNormal(features),
    ]
    mixed = Mixture(groups, [0.1, 0.2, 0.3, 0.4])
    return perturb(mixed, std=1.0).double()


def bases():
    return [
        Normal(1),
        Logistic(1),
        perturb(DiagonalNormal(1), std=1.0),
        Uniform(1),
        Uniform(1, Interval(-2.0, 3.0)),
        Uniform(1, CIRCLE),
        mixture(),
    ]


@pytest.mark.parametrize("base", bases(), ids=lambda base: type(base).__name__)
def test_cdf_rises_by_the_density_and_icdf_undoes_it(base):
    base = base.double()
    assert isinstance(base, Marginal)
    x = base.icdf(U.unsqueeze(-1)).detach()
    same(base.cdf(x).squeeze(-1), U, 1e-9)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(base.cdf(leaf).sum(), leaf)
    same(slope.squeeze(-1), base.log_prob(x).exp().detach(), 1e-8)


def test_against_torch_distributions():
    x = torch.linspace(-3, 3, 20, dtype=torch.float64).reshape(10, 2)
    same(Normal(2).double().cdf(x), torch.distributions.Normal(0.0, 1.0).cdf(x))
    same(Logistic(2).double().cdf(x), torch.special.expit(x))
    same(Uniform(2, Interval(-1.0, 2.0)).double().cdf(x), ((x + 1) / 3).clamp(0, 1))


@pytest.mark.parametrize("kind", [Normal, Logistic, DiagonalNormal, Uniform])
def test_shapes_of_images_and_stacks(kind):
    for base in (kind((2, 3, 3)), kind((2, 3, 3), batch_shape=(4,))):
        base = perturb(base)
        u = torch.rand(5, 2, 3, 3, generator=seeded(0))
        x = base.icdf(u)
        assert x.shape == (*base.batch_shape, 5, 2, 3, 3)
        same(base.cdf(x), u.expand_as(x), 1e-5)
    assert base.cdf(x).shape == x.shape


def test_cdf_under_a_context():
    base = perturb(DiagonalNormal(2, context_features=3), std=0.5).double()
    context = torch.randn(5, 3, generator=seeded(0), dtype=torch.float64)
    loc, log_scale = base._moments(context)
    same(base.cdf(loc, context), torch.full((5, 2), 0.5, dtype=torch.float64))
    one = torch.special.ndtr(torch.ones((), dtype=torch.float64))
    same(base.cdf(loc + log_scale.exp(), context), one.expand(5, 2))


def test_marginals_of_a_mixture_are_mixtures_of_marginals():
    mixed = mixture(3)
    n = 4000
    x = mixed.sample(n, generator=seeded(1))
    u = mixed.cdf(x)
    for d in range(3):
        share = u[:, d].sort()[0]
        uniform = torch.arange(1, n + 1, dtype=torch.float64) / n
        assert (share - uniform).abs().max() < 1.63 / n**0.5  # Kolmogorov-Smirnov at one percent
    same(mixed.icdf(u).detach(), x, 1e-6)


def test_quantiles_of_a_mixture_carry_gradients():
    mixed = mixture()
    u = torch.tensor([[0.3]], dtype=torch.float64)
    mixed.icdf(u).sum().backward()
    loc = mixed.groups[2].loc
    eps, gradient = 1e-5, loc.grad.item()
    with torch.no_grad():
        loc.add_(eps)
        high = mixed.icdf(u)
        loc.sub_(2 * eps)
        low = mixed.icdf(u)
    assert gradient == pytest.approx(((high - low) / (2 * eps)).item(), rel=1e-5)


def test_a_component_without_is_named():
    with pytest.raises(TypeError, match="Flow has no cdf"):
        Mixture([Flow(Normal(1), Reverse(1))]).cdf(torch.zeros(1, 1))


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_heads(head):
    params = torch.randn(head.n_params, 50, generator=seeded(0), dtype=torch.float64)
    params.requires_grad_()
    x = head.icdf(U, params)
    same(head.cdf(x, params).detach(), U, 1e-9)
    same(torch.autograd.grad(head.cdf(x, params).sum(), params)[0], 0 * params.detach(), 1e-8)
    leaf = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(head.cdf(leaf, params).sum(), leaf)
    same(slope, head.log_prob(leaf, params).exp().detach(), 1e-8)


def test_bernoulli_head():
    head, params = Bernoulli(), torch.logit(torch.tensor([[0.3]]))  # a zero in seven of ten
    steps = torch.tensor([[-0.5], [0.0], [0.5], [1.0]])
    same(head.cdf(steps, params), torch.tensor([[0.0], [0.7], [0.7], [1.0]]), 1e-6)
    same(head.icdf(torch.tensor([[0.69], [0.71]]), params), torch.tensor([[0.0], [1.0]]), 0.0)


def test_uniform_refuses_what_has_no_length():
    with pytest.raises(ValueError, match="domain must have two bounds, got the line"):
        Uniform(1, Interval())
    with pytest.raises(TypeError, match="domain must be an interval or a circle, got UNIT"):
        Uniform(1, "UNIT")


def test_uniform_draws_within_its_domain():
    for domain in (UNIT, Interval(-3.0, -1.0), Circle(1.0, 0.5)):
        x, log_prob = Uniform((2, 2), domain).sample_and_log_prob(500, generator=seeded(0))
        assert domain.contains(x).all()
        same(log_prob, torch.full((500,), -4 * torch.tensor(domain.length).log().item()), 1e-6)
        assert x.amax() - x.amin() > 0.95 * domain.length
