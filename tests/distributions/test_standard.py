"""Bases and flows against references."""

import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from anabranch.distributions import Flow, Logistic, Normal
from anabranch.transforms import (
    Affine,
    Autoregressive,
    Coupling,
    Logit,
    Standardize,
    TriangularAffine,
    UniformDequantization,
)
from tests.battery import same
from tests.registry import DISTRIBUTIONS, LEVELS, Config, perturb, seeded

X = torch.randn(50, 2, generator=seeded(0), dtype=torch.float64)
BASES = [(Normal, stats.norm), (Logistic, stats.logistic)]


@pytest.mark.parametrize(("kind", "reference"), BASES)
def test_base_equals_scipy(kind, reference):
    base = kind(2).double()
    same(base.log_prob(X), torch.from_numpy(reference.logpdf(X.numpy()).sum(-1)))
    samples = base.sample(3000, generator=seeded(1)).numpy()
    for column in samples.T:
        assert stats.kstest(column, reference.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("kind", "reference"), BASES)
def test_base_of_a_stack_draws_independently(kind, reference):
    x = kind(2, batch_shape=(3,)).sample(500, generator=seeded(1))
    assert x.shape == (3, 500, 2)
    correlation = torch.corrcoef(x.movedim(1, -1).flatten(0, 1))
    assert (correlation - torch.eye(6)).abs().max() < 0.2


def test_logistic_draws_are_finite_where_uniform_draws_are_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **kwargs: torch.zeros(shape))
    assert torch.isfinite(Logistic(1).sample(3)).all()


def test_affine_flow_is_the_multivariate_normal():
    loc = torch.tensor([1.0, -2.0], dtype=torch.float64)
    tril = torch.tensor([[2.0, 0.0], [-1.0, 0.5]], dtype=torch.float64)
    transform = TriangularAffine(2).double()
    transform.set_gaussian(loc, tril)
    flow = Flow(Normal(2).double(), transform)
    reference = MultivariateNormal(loc, scale_tril=tril)
    same(flow.log_prob(X), reference.log_prob(X), 1e-9)
    x = flow.sample(20_000, generator=seeded(1))
    same(x.mean(0), loc, 0.05)
    same(x.T.cov(), tril @ tril.T, 0.1)


def test_log_prob_is_in_the_units_of_the_data():
    """Standardising inside the flow leaves the density of the data alone."""
    raw = 1000.0 * X + 5e4
    standardize = Standardize(2).double()
    standardize.initialize(raw)
    flow = Flow(Normal(2).double(), standardize)
    scale, loc = raw.std(0, correction=0), raw.mean(0)
    expected = torch.distributions.Normal(loc, scale).log_prob(raw).sum(-1)
    same(flow.log_prob(raw), expected, 1e-9)


def test_dequantized_flow_is_an_unbiased_distribution_over_integers():
    """Over many draws of the noise, p(x) averages to probabilities that sum to one."""
    case = next(c for c in DISTRIBUTIONS if c.name == "flow-bytes-2")
    flow = Config(case).build().train()
    cells = torch.cartesian_prod(*[torch.arange(LEVELS, dtype=torch.float64)] * 2)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        draws = torch.stack([flow.log_prob(cells).exp() for _ in range(2000)])
    probability = draws.mean(0)
    # what the margin of the logit carries falls outside the integers
    error = draws.std(0).div(2000**0.5).square().sum().sqrt().item()
    z = flow.base.sample(100_000, generator=seeded(1))
    inner = flow.transform.transforms[1].decode(flow.transform.transforms[2].decode(z)[0])[0]
    inside = ((inner >= 0) & (inner <= 1)).all(-1).double().mean().item()
    assert probability.sum().item() == pytest.approx(inside, abs=5 * error + 5e-3)
    assert not flow.exact


def test_exactness_is_inherited():
    exact = Flow(Normal(2), Logit(2))
    bound = Flow(Normal(2), UniformDequantization(2))
    assert exact.exact
    assert not bound.exact
    assert not Flow(bound, Logit(2)).exact
    assert "lower bound" in repr(bound)


@pytest.mark.parametrize(
    ("base", "transform", "named"),
    [
        (Normal(3), Logit(2), r"\(3,\).*\(2,\)"),
        (
            Normal(2, batch_shape=(4,)),
            TriangularAffine(2, batch_shape=(3,)),
            r"\(4,\).*\(3,\)",
        ),
        (
            Flow(Normal(2), Coupling(Affine(), 2, context_features=1)),
            Coupling(Affine(), 2, context_features=2),
            r"context size 1.* 2",
        ),
    ],
)
def test_flow_refuses_what_does_not_fit(base, transform, named):
    with pytest.raises(ValueError, match=named):
        Flow(base, transform)


@pytest.mark.parametrize("conditional_base", [False, True])
def test_conditional_samples_of_a_stack(conditional_base):
    """Each context row and each component gets draws of its own, in the shape promised."""
    base = Normal(2)
    if conditional_base:
        base = Flow(base, perturb(Autoregressive(Affine(), 2, hidden=(4,), context_features=1)))
    transform = Coupling(Affine(), 2, hidden=(4,), context_features=1, batch_shape=(3,))
    flow = Flow(base, perturb(transform))
    for context, lead in (
        (torch.ones(1), ()),
        (torch.ones(5, 1), (5,)),
        (torch.ones(3, 5, 1), (5,)),
    ):
        for sample_shape in ((), (4,), (2, 4)):
            x, log_prob = flow.sample_and_log_prob(sample_shape, context, seeded(1))
            assert x.shape == (3, *sample_shape, *lead, 2)
            assert log_prob.shape == x.shape[:-1]
            assert len(torch.unique(x)) == x.numel(), "draws repeat"


def test_sampling_touches_no_global_generator():
    flow = perturb(Flow(Normal(2), Coupling(Affine(), 2)))
    state = torch.get_rng_state()
    first, second = (flow.sample(5, generator=seeded(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)


def test_sample_is_without_and_rsample_with_gradients():
    flow = perturb(Flow(Normal(2), Coupling(Affine(), 2)))
    assert not flow.sample(5).requires_grad
    assert flow.rsample(5).requires_grad
