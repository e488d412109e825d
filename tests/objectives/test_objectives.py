"""Objectives against enumeration by hand."""

import math

import pytest
import torch

from anabranch.objectives import (
    Loss,
    cross_entropy,
    distillation,
    elbo_enumerated,
    joint_log_likelihood,
)
from tests.battery import same
from tests.registry import seeded

K, N = 3, 5
JOINT = torch.randn(K, N, generator=seeded(0), dtype=torch.float64) * 3
LOG_Q = torch.log_softmax(torch.randn(K, N, generator=seeded(1), dtype=torch.float64), 0)
TARGETS = torch.softmax(torch.randn(K, N, generator=seeded(2), dtype=torch.float64), 0)


def by_hand(term):
    """Sum term(k, n) over k with plain Python numbers."""
    sums = [math.fsum(term(k, n) for k in range(K)) for n in range(N)]
    return torch.tensor(sums, dtype=torch.float64)


def test_elbo():
    q, joint = LOG_Q.exp().tolist(), JOINT.tolist()
    expected = by_hand(lambda k, n: q[k][n] * (joint[k][n] - math.log(q[k][n])))
    same(elbo_enumerated(JOINT, LOG_Q), expected)


def test_elbo_is_expected_energy_plus_entropy():
    uniform = torch.full((K, N), -math.log(K), dtype=torch.float64)
    same(elbo_enumerated(JOINT, uniform), JOINT.mean(0) + math.log(K))


def test_elbo_of_a_certain_q_is_the_joint():
    log_q = torch.full((K, N), -torch.inf, dtype=torch.float64)
    log_q[1] = 0.0
    same(elbo_enumerated(JOINT, log_q), JOINT[1])


def test_elbo_is_minus_infinity_where_q_chooses_the_impossible():
    joint = JOINT.clone()
    joint[0, 0] = -torch.inf
    assert elbo_enumerated(joint, LOG_Q)[0] == -torch.inf


def test_gradients_are_finite_where_q_is_zero():
    """q underflows where the component is impossible: 0 * inf must not reach the gradient."""
    joint = torch.tensor([[-1.0], [-torch.inf]]).requires_grad_()
    logits = torch.tensor([[0.0], [-200.0]]).requires_grad_()
    value = elbo_enumerated(joint, torch.log_softmax(logits, 0))
    assert value.item() == pytest.approx(-1.0)
    value.backward()
    assert torch.isfinite(logits.grad).all()
    assert joint.grad.flatten().tolist() == [1.0, 0.0]


def test_elbo_gradient_vanishes_at_the_posterior():
    logits = JOINT.clone().requires_grad_()
    elbo_enumerated(JOINT, torch.log_softmax(logits, 0)).sum().backward()
    same(logits.grad, torch.zeros_like(JOINT), 1e-12)


def test_joint_log_likelihood():
    t, joint = TARGETS.tolist(), JOINT.tolist()
    expected = by_hand(lambda k, n: t[k][n] * joint[k][n])
    same(joint_log_likelihood(JOINT, TARGETS), expected)


def test_cross_entropy():
    t, log_q = TARGETS.tolist(), LOG_Q.tolist()
    expected = by_hand(lambda k, n: -t[k][n] * log_q[k][n])
    same(cross_entropy(LOG_Q, TARGETS), expected)


def test_hard_labels_pick_their_component():
    labels = torch.tensor([0, 2, 1, 1, 0])
    targets = torch.nn.functional.one_hot(labels, K).T.double()
    picked = torch.arange(N)
    same(joint_log_likelihood(JOINT, targets), JOINT[labels, picked])
    same(cross_entropy(LOG_Q, targets), -LOG_Q[labels, picked])
    reference = torch.nn.functional.nll_loss(LOG_Q.T, labels, reduction="none")
    same(cross_entropy(LOG_Q, targets), reference)


def test_only_the_labelled_component_learns():
    joint = JOINT.clone()
    joint[1, :] = -torch.inf  # an impossible component with target zero
    joint.requires_grad_()
    targets = torch.zeros(K, N, dtype=torch.float64)
    targets[0] = 1.0
    joint_log_likelihood(joint, targets).sum().backward()
    assert torch.equal(joint.grad, targets)


def test_cross_entropy_has_the_right_sign():
    """A step down the gradient raises q of the label."""
    logits = torch.zeros(K, 1, requires_grad=True)
    targets = torch.tensor([[1.0], [0.0], [0.0]])
    cross_entropy(torch.log_softmax(logits, 0), targets).sum().backward()
    assert logits.grad[0] < 0 < logits.grad[1]


def test_distillation_is_smallest_at_the_posterior_and_teaches_only_q():
    log_posterior = torch.log_softmax(JOINT, 0).requires_grad_()
    at_posterior = distillation(log_posterior, log_posterior)
    entropy = -(log_posterior.exp() * log_posterior).sum(0)
    same(at_posterior, entropy)
    assert (distillation(LOG_Q, log_posterior) > at_posterior).all()
    log_q = LOG_Q.clone().requires_grad_()
    distillation(log_q, log_posterior).sum().backward()
    assert log_posterior.grad is None
    assert log_q.grad is not None


def test_loss_is_a_pair():
    total, terms = Loss(torch.tensor(1.0), {"nll": torch.tensor(1.0)})
    assert total == terms["nll"]
