"""Invertible networks for inverse problems: exact likelihoods, and each term of the objective."""

import pytest
import torch
from torch.autograd.functional import jacobian

from anabranch.distributions import ContextNormal, Embedded, Flow, Normal
from anabranch.models import cinn, inn
from anabranch.objectives import Bidirectional
from anabranch.transforms import EmbeddedTransform, Permutation
from tests.registry import perturb, seeded


def moved(model):
    return perturb(model).double()


def test_no_number_stays_and_halves_take_turns():
    flow = moved(cinn(4, n_blocks=1, hidden=[8], context_features=1, seed=0))
    x, c = torch.randn(5, 4, generator=seeded(1)).double(), torch.ones(5, 1).double()
    z, term = flow.transform.encode(x, c)
    assert ((z - x).abs() > 1e-6).all()
    first, second = flow.transform.transforms[0].transforms
    half, _ = first.encode(x, c)
    assert (half[:, :2] == x[:, :2]).all()
    assert (second.encode(half, c)[0][:, 2:] == half[:, 2:]).all()
    J = jacobian(lambda a: flow.transform.encode(a, c[:1])[0], x[:1])[0, :, 0]
    assert torch.linalg.slogdet(J)[1] == pytest.approx(term[0].item())


def test_the_condition_passes_its_network_first():
    flow = moved(cinn(2, n_blocks=1, hidden=[8], context_features=3, embedding=[4, 2], seed=0))
    x, c = torch.zeros(5, 2).double(), torch.randn(5, 3, generator=seeded(0)).double()
    inner, network = flow.transform.transform, flow.transform.network
    assert (flow.log_prob(x, c) == Flow(flow.base, inner).log_prob(x, network(c))).all()
    given = Embedded(Flow(flow.base, inner), network, 3)
    assert (given.log_prob(x, c) == flow.log_prob(x, c)).all()
    given.log_prob(x, c).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    with pytest.raises(ValueError, match="needs a condition"):
        cinn(2, embedding=[4])
    with pytest.raises(ValueError, match="takes no context"):
        Embedded(Normal(2), network, 3)
    with pytest.raises(ValueError, match="takes no context"):
        EmbeddedTransform(Permutation([1, 0]), network, 3)


def test_the_likelihood_of_an_invertible_network():
    """log N(f_y(x); y, s^2) + log N(f_z(x); 0, 1) + log|det f'|, without padding exact."""
    flow = moved(inn(3, context_features=1, n_blocks=2, hidden=[8], std=0.2, seed=0))
    assert flow.exact
    x, y = torch.randn(1, 3, generator=seeded(0)).double(), torch.tensor([[0.3]]).double()
    u = flow.transform.encode(x)[0][0]
    J = jacobian(lambda a: flow.transform.encode(a)[0], x)[0, :, 0]
    normal = torch.distributions.Normal
    expected = normal(0.3, 0.2).log_prob(u[0]) + normal(0.0, 1.0).log_prob(u[1:]).sum()
    expected = expected + torch.linalg.slogdet(J)[1]
    assert flow.log_prob(x, y).item() == pytest.approx(expected.item())


def test_padding_bounds_the_likelihood():
    flow = moved(inn(2, context_features=2, latent=1, size=5, n_blocks=2, hidden=[8], seed=0))
    assert not flow.exact
    assert [part.shape[-1] for part in flow.base.parts(torch.zeros(1, 5))] == [2, 2, 1]
    y = torch.zeros(1, 2).double()
    assert flow.sample(4, y).shape == (4, 1, 2)
    # a bound's mass is at most one
    axis = torch.linspace(-6, 6, 121).double()
    grid = torch.cartesian_prod(axis, axis)
    bounds = torch.stack([flow.log_prob(grid, y, generator=seeded(i)) for i in range(8)]).mean(0)
    assert bounds.exp().sum() * 0.1**2 <= 1.02
    with pytest.raises(ValueError, match="size must be at least 3"):
        inn(2, context_features=2, size=2)


def oracle():
    """A flow that is right: x = (z, y) with z ~ N(0, 1), and y ~ N(0, 1) is observed."""
    base = ContextNormal(2, context_features=1, free=1, std=1e-3, padding_std=1e-3)
    return Flow(base, Permutation([1, 0]))


def batch(n=400):
    z, y = torch.randn(2, n, 1, generator=seeded(0))
    return {"x": torch.cat((z, y), 1), "context": y}


def test_of_the_right_flow_all_terms_are_at_their_floors():
    terms = Bidirectional(oracle())(batch(), generator=seeded(1)).terms
    assert terms["forward"] == 0
    assert terms["reconstruction"] < 1e-5
    assert terms["latent"] < 0.02
    assert terms["backward"] < 0.02


def test_each_fault_raises_its_term():
    floor = Bidirectional(oracle())(batch(), generator=seeded(1)).terms
    wrong = dict(batch())
    wrong["context"] = wrong["context"] + 1  # f_y is off by one
    assert Bidirectional(oracle())(wrong, generator=seeded(1)).terms["forward"] == 1
    # z that depends on y: each is as it should be, but they are not independent
    y = batch()["context"]
    linked = {"x": torch.cat((y, y), 1), "context": y}
    linked = Bidirectional(oracle())(linked, generator=seeded(1)).terms
    assert linked["latent"] > 5 * floor["latent"]
    assert linked["backward"] > 5 * floor["backward"]


def test_weights_ramp_and_detachment():
    flow = inn(3, context_features=1, n_blocks=1, hidden=[4], size=4, seed=0)
    perturb(flow)
    rows = {"x": torch.randn(20, 3, generator=seeded(0)), "context": torch.ones(20, 1)}
    weights = {"forward": 1.0, "latent": 2.0, "backward": 3.0, "reconstruction": 4.0}
    objective = Bidirectional(flow, **weights)
    loss = objective(rows, generator=seeded(1))
    whole = sum(weights[name] * loss.terms[name] for name in weights)
    assert loss.terms["sum"].item() == pytest.approx(whole.item(), rel=1e-5)
    assert loss.total.item() == pytest.approx(whole.item(), rel=1e-5)
    objective.ramp.fill_(0.5)
    half = objective(rows, generator=seeded(1))
    less = whole - 1.5 * loss.terms["backward"]
    assert half.total.item() == pytest.approx(less.item(), rel=1e-4)
    with pytest.raises(TypeError, match="over a ContextNormal"):
        Bidirectional(Flow(Normal(2), Permutation([1, 0])))


def test_sizes_of_the_base_are_checked():
    with pytest.raises(ValueError, match="must hold a context of at least 1"):
        ContextNormal(2, context_features=2, free=1)
    with pytest.raises(ValueError, match="std"):
        ContextNormal(2, context_features=1, free=1, std=0.0)
