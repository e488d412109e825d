"""Bits as signs: exact where noise and model agree, a bound elsewhere, told of its context."""

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid, softplus

from anabranch.contracts import Distribution
from anabranch.distributions import DiagonalNormal, Flow, Normal
from anabranch.experiments import Run
from anabranch.experiments import binary_dequantization as module
from anabranch.models import binary_density
from anabranch.problems import ConditionalBits
from anabranch.transforms import BinaryDequantization, VariationalDequantization
from tests.registry import perturb, seeded


class HalfNormal(Distribution):
    """Noise e whose softplus is half-normal."""

    def _log_prob(self, x, context, generator):
        density = torch.distributions.HalfNormal(1.0).log_prob(softplus(x))
        return (density + logsigmoid(x)).sum(-1)

    def _sample(self, n, context, generator):
        size = torch.randn(n, *self.event_shape, generator=generator).double().abs()
        return size + torch.log(-torch.expm1(-size))


def test_where_the_noise_is_the_model_s_own_the_bound_is_exact():
    """Of a standard normal each orthant has probability 2^-D, by every single draw."""
    flow = Flow(Normal(3).double(), BinaryDequantization(3, HalfNormal(3)))
    bits = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).double()
    found = flow.log_prob(bits, generator=seeded(0))
    assert found.numpy() == pytest.approx(np.full(2, -3 * np.log(2)))
    other = Flow(Normal(3), BinaryDequantization(3, Normal(3)))  # of other noise it lies below
    draws = other.log_prob(bits.float().expand(500, 2, 3), generator=seeded(0))
    assert (draws.mean(0) < -3 * np.log(2) - 0.1).all()


def test_a_bound_s_probabilities_sum_to_less_than_one():
    small = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
    model = perturb(binary_density(2, flow=small, noise=small, context_features=1, seed=0))
    states = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    c = torch.full((2000, 4, 1), 0.7)
    bounds = model.log_prob(states.expand(2000, -1, -1), c, generator=seeded(0))
    assert bounds.mean(0).exp().sum() < 1
    # weighted, not averaged in logs, they are the probabilities, which sum to one
    assert bounds.exp().mean(0).sum().item() == pytest.approx(1, abs=0.1)


def test_the_noise_is_told_bits_and_context():
    noise = perturb(DiagonalNormal(2, context_features=3, hidden=(4,))).double()
    layers = [BinaryDequantization(2, noise, context_shape=1)]
    layers.append(VariationalDequantization(2, noise, levels=2, context_shape=1))
    bits, c = torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[0.3]]).double()
    e = noise.sample(context=torch.tensor([[-1.0, 1.0, 0.3]]).double(), generator=seeded(0))
    z, _ = layers[0].encode(bits, c, generator=seeded(0))
    torch.testing.assert_close(z, softplus(e) * torch.tensor([-1.0, 1.0]).double())
    z, _ = layers[1].encode(bits, c, generator=seeded(0))
    torch.testing.assert_close(z, (bits + torch.sigmoid(e)) / 2)
    with pytest.raises(ValueError, match="context of shape"):
        layers[0].encode(bits)
    with pytest.raises(ValueError, match="the noise takes a context of shape"):
        BinaryDequantization(2, noise)
    with pytest.raises(ValueError, match=r"the noise of \(3,\)"):
        BinaryDequantization(2, Normal(3))
    with pytest.raises(ValueError, match="does not fit behind"):
        BinaryDequantization((1, 2, 2), Normal((1, 2, 2)), context_shape=3)


def test_far_noise_keeps_its_bits():
    layer = BinaryDequantization(1, Normal(1, std=300.0))
    bits = torch.tensor([[0.0], [1.0]]).repeat(200, 1)
    z, term = layer.encode(bits, generator=seeded(0))
    assert torch.isfinite(term).all()
    assert torch.equal(layer.decode(z)[0], bits)


def test_tables_and_their_draws():
    problem = ConditionalBits.random(2, 3, random_state=0)
    y, x = problem.sample(20_000, random_state=0)
    own = y[x.argmax(1) == 1] @ [4, 2, 1]
    shares = np.bincount(own, minlength=8) / len(own)
    assert shares == pytest.approx(problem.probabilities[1], abs=0.02)
    with pytest.raises(ValueError, match=r"tables must have shape \(S, 2\^D\)"):
        ConditionalBits([[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match="sum to one"):
        ConditionalBits([[0.5, 0.25]])


def test_the_experiment_runs_and_sees_a_gap(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 512)
    monkeypatch.setattr(module, "SAMPLES", 50)
    monkeypatch.setitem(module.EPOCHS, "cpu", 1)
    values = {f.name: f.value for f in module.binary_dequantization(Run(seeds=(100,))).figures}
    assert values["bound above H(y|x), nats"] > 0.1
    # of uniform bits, by noise that is the model's own, the gap is none
    problem = ConditionalBits(np.full((1, 4), 0.25))
    exact = Flow(Normal(2), BinaryDequantization(2, HalfNormal(2)))
    monkeypatch.setattr(HalfNormal, "_sample", lambda s, n, c, g: torch.ones(n, *s.event_shape))
    assert module.gap(exact, problem, 0) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dequantization": "none"}, "dequantization must be one of"),
        ({"flow": "rnade"}, "flow must be the recipe of a flow"),
    ],
)
def test_misuse_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        binary_density(2, **changes)
