"""VIMCO, NVIL and IWAE against enumeration of all samples."""

import math
from itertools import product

import pytest
import torch

from anabranch.objectives import iwae, nvil, vimco
from anabranch.objectives.importance import learning_signals

K = 3


class Tiny:
    """One observation, a latent of three values; p and q have free logits."""

    def __init__(self, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.p = torch.randn(K, generator=generator, dtype=torch.float64).requires_grad_()
        self.q = torch.randn(K, generator=generator, dtype=torch.float64).requires_grad_()

    def joint(self):
        return torch.log_softmax(self.p, 0) - 1.5  # log p(x, y), with p(x) = exp(-1.5)

    def log_q(self):
        return torch.log_softmax(self.q, 0)

    def draws(self, m):
        """All tuples of m values of y as (m, K^m), and the probability of each."""
        y = torch.tensor(list(product(range(K), repeat=m))).T
        return y, self.log_q()[y].sum(0).exp()

    def gradients(self, value):
        return torch.cat(torch.autograd.grad(value, (self.p, self.q)))


def exact_gradient(tiny, m):
    """Of E[L^M] itself, the probabilities of the draws included."""
    y, probability = tiny.draws(m)
    return tiny.gradients((probability * iwae((tiny.joint() - tiny.log_q())[y])).sum())


@pytest.mark.parametrize("m", [2, 3, 5])
def test_vimco_is_unbiased(m):
    tiny = Tiny()
    y, probability = tiny.draws(m)
    log_q = tiny.log_q()[y]
    surrogate = vimco(tiny.joint()[y] - log_q, log_q)
    mean = tiny.gradients((probability.detach() * surrogate).sum())
    assert torch.allclose(mean, exact_gradient(tiny, m), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("baseline", [0.0, -1.0])
def test_nvil_is_unbiased_for_any_baseline(m, baseline):
    tiny = Tiny()
    y, probability = tiny.draws(m)
    log_q = tiny.log_q()[y]
    surrogate = nvil(tiny.joint()[y] - log_q, log_q, torch.tensor(baseline))
    mean = tiny.gradients((probability.detach() * surrogate).sum())
    assert torch.allclose(mean, exact_gradient(tiny, 1), rtol=1e-10, atol=1e-14)


def test_vimco_varies_less_than_nvil_without_a_baseline():
    tiny, m = Tiny(), 4
    y, probability = tiny.draws(m)
    spread = []
    for estimate in (vimco, lambda w, s: nvil(w, s, torch.zeros(()))):
        rows = []
        for draw in range(y.shape[1]):
            log_q = tiny.log_q()[y[:, draw]].unsqueeze(1)
            log_w = tiny.joint()[y[:, draw]].unsqueeze(1) - log_q
            rows.append(tiny.gradients(estimate(log_w, log_q).sum()))
        rows, weight = torch.stack(rows), probability.detach().unsqueeze(1)
        mean = (weight * rows).sum(0)
        spread.append((weight * (rows - mean).square()).sum().item())
    assert spread[0] < spread[1]


def test_the_bound_rises_with_the_samples_to_the_likelihood():
    tiny = Tiny()
    bounds = []
    for m in (1, 2, 3, 5, 7):
        y, probability = tiny.draws(m)
        bounds.append((probability * iwae((tiny.joint() - tiny.log_q())[y])).sum().item())
    elbo = (tiny.log_q().exp() * (tiny.joint() - tiny.log_q())).sum().item()
    assert math.isclose(bounds[0], elbo, rel_tol=1e-12)
    assert bounds == sorted(bounds)
    assert bounds[-1] < -1.5


def test_signals_are_those_of_the_definition_even_where_one_sample_dominates():
    log_w = torch.tensor([[0.0, -3.0, 1.0, 2.0], [500.0, 0.0, -500.0, 1.0]], dtype=torch.float64).T
    expected = torch.empty_like(log_w)
    for m in range(4):
        others = [log_w[j] for j in range(4) if j != m]
        replaced = torch.stack([*others, torch.stack(others).mean(0)])
        expected[m] = iwae(log_w) - iwae(replaced)
    assert torch.allclose(learning_signals(log_w), expected, rtol=1e-12, atol=1e-12)


def test_samples_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="at least 2 samples are needed, got 1"):
        vimco(torch.zeros(1, 4), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="one shape"):
        vimco(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(ValueError, match="one shape"):
        nvil(torch.zeros(3, 4), torch.zeros(2, 4), torch.zeros(()))


def test_the_baseline_of_nvil_learns_by_least_squares_alone():
    baseline = torch.zeros((), requires_grad=True)
    nvil(torch.tensor([[2.0, 4.0]]), torch.zeros(1, 2), baseline).mean().backward()
    assert math.isclose(baseline.grad.item(), 3.0)  # ascent moves it towards the mean of f
