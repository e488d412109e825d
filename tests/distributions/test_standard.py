"""Bases and flows against references."""

import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from anabranch.distributions import DiagonalNormal, Flow, Logistic, Normal
from anabranch.transforms import (
    Affine,
    Autoregressive,
    Coupling,
    Logit,
    Reverse,
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
    assert not Flow(bound, Reverse(2)).exact
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
            r"context of shape \(1,\).*\(2,\)",
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


def test_diagonal_normal_is_the_product_of_normals():
    base = perturb(DiagonalNormal(2).double())
    loc, scale = base.loc, torch.exp(5 * torch.tanh(base.log_scale / 5))
    reference = torch.distributions.Normal(loc, scale)
    same(base.log_prob(X), reference.log_prob(X).sum(-1))
    x, log_prob = base.rsample_and_log_prob(20_000, generator=seeded(1))
    same(log_prob, base.log_prob(x))
    same(x.mean(0), loc.flatten(), 0.05)
    same(x.std(0), scale.flatten(), 0.05)


def test_the_moments_of_a_diagonal_normal_follow_its_context():
    base = perturb(DiagonalNormal(2, context_features=1, hidden=(4,))).double()
    contexts = torch.tensor([[-2.0], [2.0]], dtype=torch.float64)
    means = base.sample(5000, contexts, seeded(0)).mean(0)
    assert (means[0] - means[1]).abs().max() > 0.3
    with pytest.raises(ValueError, match="bound must be a positive number, got 0"):
        DiagonalNormal(2, bound=0)


def counted(transform):
    """The transform, and a list that grows by one for each decode and encode of it."""
    calls = []
    for name in ("_encode", "_decode"):
        inner = getattr(transform, name)

        def call(*args, inner=inner, name=name):
            calls.append(name)
            return inner(*args)

        setattr(transform, name, call)
    return transform, calls


@pytest.mark.parametrize("batch_shape", [(), (3,)])
@pytest.mark.parametrize("context_features", [0, 1])
def test_draws_with_their_density_need_one_decode(batch_shape, context_features):
    settings = {"batch_shape": batch_shape, "context_features": context_features}
    transform, calls = counted(perturb(Coupling(Affine(), 2, hidden=(4,), **settings)))
    flow = Flow(Normal(2), transform)
    context = torch.ones(4, 1) if context_features else None
    x, log_prob = flow.rsample_and_log_prob((5,), context, seeded(0))
    assert calls == ["_decode"]
    assert x.shape[:-1] == log_prob.shape == (*batch_shape, 5, *((4,) if context_features else ()))
    assert torch.equal(flow.rsample((5,), context, seeded(0)), x)


def test_gradients_run_through_draws_and_their_density():
    """By both routes: through one decode, and through rsample and log_prob."""
    flow = perturb(Flow(DiagonalNormal(2), Coupling(Affine(), 2, hidden=(4,)))).double()
    x, log_prob = flow.rsample_and_log_prob(50, generator=seeded(0))
    again = flow.rsample(50, generator=seeded(0))
    ours, theirs = (
        torch.autograd.grad((log_p - y.square().sum(-1)).mean(), list(flow.parameters()))
        for y, log_p in ((x, log_prob), (again, flow.log_prob(again)))
    )
    for a, b in zip(ours, theirs, strict=True):
        same(a, b, 1e-9)
    assert any(a.any() for a in ours)
    assert not flow.sample_and_log_prob(3)[1].requires_grad


def test_a_bound_is_evaluated_at_the_draws():
    """A dequantizing flow has no exact term to use: its log_prob is called."""
    flow = Flow(Normal(2), UniformDequantization(2, levels=LEVELS))
    x, log_prob = flow.sample_and_log_prob(6, generator=seeded(0))
    assert torch.equal(x, x.round())
    assert torch.isfinite(log_prob).all()
