"""Hedged densities: what is known of a mixture of two."""

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.distributions import Flow, Hedged, Logistic, Normal
from anabranch.networks import select_component
from anabranch.transforms import TriangularAffine
from tests.battery import same
from tests.registry import seeded


def gaussian(loc, scale, batch_shape=()):
    transform = TriangularAffine(1, batch_shape=batch_shape)
    shape = (*batch_shape, 1)
    transform.set_gaussian(
        torch.as_tensor(loc).expand(shape), torch.as_tensor(scale).expand(*shape, 1)
    )
    return Flow(Normal(1, batch_shape=batch_shape), transform)


X = torch.linspace(-30, 30, 101, dtype=torch.float64).unsqueeze(1)


def test_the_density_is_that_of_both_parts():
    hedged = Hedged(gaussian(1.0, 2.0), gaussian(-3.0, 0.5), share=0.7).double()
    x = X.squeeze(1).numpy()
    expected = 0.7 * stats.norm(1, 2).pdf(x) + 0.3 * stats.norm(-3, 0.5).pdf(x)
    same(hedged.log_prob(X).exp(), torch.as_tensor(expected), 1e-8)


def test_nothing_falls_below_the_floor():
    density, anchor = gaussian(1.0, 0.01), gaussian(0.0, 4.0)
    hedged = Hedged(density, anchor, share=0.9).double()
    fall = anchor.log_prob(X) - hedged.log_prob(X)
    assert fall.max() <= -np.log(0.1) + 1e-6
    assert (anchor.log_prob(X) - density.log_prob(X)).max() > 1000


def test_a_draw_is_the_flip_of_a_coin():
    hedged = Hedged(gaussian(100.0, 1.0, (2,)), gaussian(-100.0, 2.0, (2,)), share=0.7)
    x = hedged.sample(20_000, generator=seeded(0)).squeeze(-1)
    heads = x > 0
    assert (heads.double().mean(1) - 0.7).abs().max() < 4 * (0.21 / 20_000) ** 0.5
    assert stats.kstest(x[0][heads[0]].numpy(), stats.norm(100, 1).cdf).pvalue > 1e-3
    assert stats.kstest(x[0][~heads[0]].numpy(), stats.norm(-100, 2).cdf).pvalue > 1e-3


def test_each_component_has_an_anchor_and_a_share_of_its_own():
    hedged = Hedged(gaussian([[1.0], [5.0]], 1.0, (2,)), gaussian([[-1.0], [-5.0]], 1.0, (2,)))
    with torch.no_grad():
        hedged.logit.copy_(torch.logit(torch.tensor([[0.25], [0.5]])))
    same(hedged.share, torch.tensor([0.25, 0.5]), 1e-6)
    second = select_component(hedged, 1)
    expected = 0.5 * stats.norm(5, 1).pdf(-5) + 0.5 * stats.norm(-5, 1).pdf(-5)
    found = second.log_prob(torch.tensor([[-5.0]])).exp().item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_anchor_is_frozen():
    hedged = Hedged(gaussian(1.0, 2.0), gaussian(0.0, 1.0), trainable_share=True).double()
    hedged.log_prob(X).sum().backward()
    assert all(p.grad is None for p in hedged.anchor.parameters())
    assert hedged.logit.grad is not None
    assert not Hedged(Normal(1), Normal(1)).logit.requires_grad


def test_parts_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"event_shape, got \(2,\) and \(1,\)"):
        Hedged(Normal(2), Normal(1))
    with pytest.raises(ValueError, match="batch_shape"):
        Hedged(Normal(2, batch_shape=(3,)), Logistic(2))
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 1.0"):
        Hedged(Normal(2), Normal(2), share=1.0)
