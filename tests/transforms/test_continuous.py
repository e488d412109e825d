"""Continuous flows against linear equations, and their training by flow matching."""

import math

import pytest
import torch

from anabranch.distributions import Flow, Normal
from anabranch.functional.runge_kutta import runge_kutta
from anabranch.models import cnf
from anabranch.networks import VelocityNet
from anabranch.objectives import FlowMatching, Likelihood
from anabranch.training import FitOptions, fit
from anabranch.transforms import Compose, ContinuousFlow, Reverse, Standardize
from tests.registry import perturb, seeded


def test_the_error_falls_with_the_fourth_power():
    errors = []
    for n in (4, 8, 16):
        (y,) = runge_kutta(
            lambda t, y: (t * y[0],), (torch.ones(1, dtype=torch.float64),), n_steps=n
        )
        errors.append(abs(y.item() - math.exp(0.5)))
    assert 12 < errors[0] / errors[1] < 40
    assert 12 < errors[1] / errors[2] < 40
    (back,) = runge_kutta(lambda t, y: (t * y[0],), (y,), start=1.0, end=0.0, n_steps=64)
    assert back.item() == pytest.approx(1.0, abs=1e-5)


def test_derivatives_are_those_of_autograd():
    net = perturb(VelocityNet(3, (5, 4), context_features=2, generator=seeded(0)).double())
    x, context = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    t = torch.tensor(0.3, dtype=torch.float64)
    velocity, divergence = net.divergence(t, x, context)
    for row in range(4):
        matrix = torch.autograd.functional.jacobian(
            lambda y, r=row: net(t, y[None], context[r : r + 1])[0], x[row]
        )
        torch.testing.assert_close(matrix.trace(), divergence[row])
        probe = torch.randn(1, 1, 3).double()
        _, along = net.with_derivatives(t, x[row : row + 1], context[row : row + 1], probe)
        torch.testing.assert_close(along[0, 0], matrix @ probe[0, 0])
    torch.testing.assert_close(velocity, net(t.expand(4), x, context))


def test_the_flow_of_a_small_linear_velocity_is_a_matrix_exponential():
    flow = ContinuousFlow(2, hidden=(2,), n_steps=16).double()
    matrix = torch.tensor([[0.3, -0.5], [0.2, 0.1]], dtype=torch.float64)
    tiny = 1e-4  # where tanh is a line
    with torch.no_grad():
        layer = flow.velocity.hidden[0]
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[:, :2] = tiny * torch.eye(2)
        flow.velocity.last.weight.copy_(matrix / tiny)
    z = torch.randn(5, 2, dtype=torch.float64)
    x, term = flow.decode(z)
    torch.testing.assert_close(x, z @ torch.linalg.matrix_exp(matrix).mT, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(term, matrix.trace().expand(5), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(flow.encode(x)[0], z, atol=1e-7, rtol=1e-7)


def test_a_random_trace_is_right_in_the_mean():
    exact = perturb(cnf(3, hidden=[6], n_steps=4, seed=0))
    random = perturb(cnf(3, hidden=[6], n_steps=4, trace="hutchinson", seed=0))
    x = torch.randn(1, 3, generator=seeded(0)).expand(4000, 3)
    with torch.no_grad():
        terms = random.log_prob(x, generator=seeded(1))
        expected = exact.log_prob(x[:1])
    error = terms.std() / len(terms) ** 0.5
    assert error > 0
    assert (terms.mean() - expected).abs() < 4 * error


@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_a_random_trace_has_the_same_points(batch_shape):
    how = {"hidden": (6,), "n_steps": 4, "batch_shape": batch_shape, "context_features": 2}
    exact = perturb(ContinuousFlow(3, **how, generator=seeded(0)))
    random = perturb(ContinuousFlow(3, trace="hutchinson", **how, generator=seeded(0)))
    assert (random.exact, random.stochastic) == (False, True)
    x, context = torch.randn(5, 3), torch.randn(5, 2)
    z, term = random.encode(x, context, generator=seeded(0))
    torch.testing.assert_close(z, exact.encode(x, context)[0])
    assert term.shape == (*batch_shape, 5)
    assert torch.equal(term, random.encode(x, context, generator=seeded(0))[1])
    assert not torch.equal(term, random.encode(x, context, generator=seeded(1))[1])


def data(n, seed):
    side = torch.randint(2, (n, 1), generator=seeded(seed)) * 4.0 - 2
    return torch.cat([side, torch.zeros(n, 1)], -1) + 0.5 * torch.randn(
        n, 2, generator=seeded(seed + 1)
    )


def test_flow_matching_finds_a_density():
    flow = cnf(2, hidden=[32], n_steps=10, seed=0)
    x, held_out = data(512, 0), data(200, 10)
    start = flow.log_prob(held_out).mean()
    options = FitOptions(
        max_epochs=40, batch_size=128, learning_rate=0.02, patience=40, progress=False
    )
    found = fit(FlowMatching(flow), {"x": x}, options=options, generator=seeded(0))
    assert found.best_score > 0.5  # no likelihood: what noise and data leave open stays
    gained = flow.log_prob(held_out).mean() - start
    assert gained > 0.8
    drawn = flow.sample(500, generator=seeded(3))
    assert ((drawn[:, 0].abs() - 2).abs() < 1).double().mean() > 0.6


def test_flow_matching_at_its_minimum():
    """Between equal normals of which one is shifted, the loss has a closed form."""
    flow = Flow(Normal(1), ContinuousFlow(1, hidden=(4,)))
    shift = 3.0
    with torch.no_grad():
        flow.transform.velocity.last.bias.fill_(shift)
    x = shift + torch.randn(20_000, 1, generator=seeded(0))
    loss = FlowMatching(flow, sigma_min=0.0)({"x": x}, generator=seeded(1))
    # v = m, and x1 - x0 has variance two about it
    assert loss.total.item() == pytest.approx(2.0, abs=0.08)
    torch.testing.assert_close(flow.log_prob(x[:5]), Normal(1).log_prob(x[:5] - shift))
    weights = (torch.arange(20_000) < 10_000).float()
    half = FlowMatching(flow, sigma_min=0.0)({"x": x, "weights": weights}, generator=seeded(1))
    assert half.total != loss.total


def test_flow_matching_sees_what_comes_before():
    before = Standardize(2)
    x = 5 + 3 * data(200, 0)
    before.initialize(x)
    inner = ContinuousFlow(2, hidden=(4,), context_features=1)
    flow = Flow(Normal(2), Compose([before, inner]))
    context = torch.zeros(200, 1)
    whole = FlowMatching(flow)({"x": x, "context": context}, generator=seeded(0)).total
    alone = FlowMatching(Flow(Normal(2), inner))
    latent = before.encode(x)[0]
    assert torch.equal(alone({"x": latent, "context": context}, generator=seeded(0)).total, whole)
    assert {id(p) for p in FlowMatching(flow).parameters()} == {id(p) for p in flow.parameters()}
    stack = cnf(2, hidden=[4], batch_shape=[3], seed=0)
    assert FlowMatching(stack)({"x": x}, generator=seeded(0)).total.isfinite()


def test_likelihood_trains_it_too():
    flow = cnf(1, hidden=[8], n_steps=4, seed=0)
    x = 2 + 0.5 * torch.randn(256, 1, generator=seeded(0))
    objective, optimizer = Likelihood(flow), torch.optim.Adam(flow.parameters(), 0.05)
    for _ in range(40):
        optimizer.zero_grad()
        objective({"x": x}).total.backward()
        optimizer.step()
    truth = 0.5 * math.log(2 * math.pi * math.e * 0.25)
    assert objective({"x": x}).total.item() < truth + 0.15


def test_what_cannot_be():
    with pytest.raises(ValueError, match="trace must be one of"):
        ContinuousFlow(2, trace="none")
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        ContinuousFlow(2, n_steps=0)
    with pytest.raises(TypeError, match="ends with a ContinuousFlow, got Reverse"):
        FlowMatching(Flow(Normal(2), Reverse(2)))
    with pytest.raises(TypeError, match="trains a Flow, got Normal"):
        FlowMatching(Normal(2))
    with pytest.raises(ValueError, match=r"sigma_min must be in \[0, 1\), got 1.0"):
        FlowMatching(cnf(2), sigma_min=1.0)
