"""Log-space helpers and bounded scales against references."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.functional import (
    bounded,
    log1mexp,
    standard_logistic_log_prob,
    standard_normal_log_prob,
)
from tests.battery import same

POINTS = torch.tensor([[0.0, 1.0], [-3.0, 2.5], [30.0, -30.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("a", "expected"),
    [
        # log(1 - exp(-a)) ~ log a - a/2 for small a, and ~ -exp(-a) for large a
        (1e-300, math.log(1e-300)),
        (1e-10, math.log(1e-10) - 0.5e-10),
        (math.log(2.0), -math.log(2.0)),
        (40.0, -math.exp(-40.0)),
        (700.0, -math.exp(-700.0)),
    ],
)
def test_log1mexp(a, expected):
    value = log1mexp(torch.tensor(a, dtype=torch.float64)).item()
    assert value == pytest.approx(expected, rel=1e-14)


def test_log1mexp_gradient():
    a = torch.tensor([1e-12, 0.1, 0.693, 0.694, 5.0, 800.0], dtype=torch.float64).requires_grad_()
    log1mexp(a).sum().backward()
    same(a.grad, 1 / torch.expm1(a.detach()), 1e-12)


def test_log_prob_of_the_bases():
    points = POINTS.numpy()
    normal = torch.from_numpy(stats.norm.logpdf(points).sum(-1))
    logistic = torch.from_numpy(stats.logistic.logpdf(points).sum(-1))
    same(standard_normal_log_prob(POINTS), normal)
    same(standard_logistic_log_prob(POINTS), logistic)


def test_logistic_log_prob_far_out():
    x = torch.tensor([[1e4], [-1e4]]).requires_grad_()
    value = standard_logistic_log_prob(x)
    assert value.tolist() == [-1e4, -1e4]
    value.sum().backward()
    assert x.grad.flatten().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("bound", [0.5, 1.0, 3.0])
def test_bounded(bound):
    raw = torch.linspace(-20, 20, 401, dtype=torch.float64).requires_grad_()
    value = bounded(raw, bound)
    assert value.abs().max() <= bound
    assert (value.diff() >= 0).all()
    same(value.detach(), torch.from_numpy(bound * np.tanh(raw.detach().numpy() / bound)))
    (slope,) = torch.autograd.grad(bounded(zero := raw.new_zeros(1).requires_grad_(), bound), zero)
    assert slope.item() == pytest.approx(1.0)


def test_bounded_is_finite_for_any_number():
    raw = torch.tensor([1e38, -1e38, math.inf, -math.inf]).requires_grad_()
    value = bounded(raw, 2.0)
    assert value.tolist() == [2.0, -2.0, 2.0, -2.0]
    value.sum().backward()
    assert torch.isfinite(raw.grad).all()
