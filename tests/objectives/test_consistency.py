"""Consistency and balance against enumeration by hand, and their gradients."""

import math

import pytest
import torch

from anabranch.objectives import balance, consistency, shared_information
from tests.battery import same
from tests.registry import seeded

K, N = 3, 5
HELD = torch.log_softmax(torch.randn(K, N, generator=seeded(0), dtype=torch.float64), 0)
LOG_Q = torch.log_softmax(torch.randn(K, N, generator=seeded(1), dtype=torch.float64), 0)


def entropy(probabilities):
    return -math.fsum(p * math.log(p) for p in probabilities)


def columns(log_q):
    return log_q.exp().T.tolist()


def test_consistency_by_hand():
    expected = [
        math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        for p, q in zip(columns(HELD), columns(LOG_Q), strict=True)
    ]
    same(consistency(HELD, LOG_Q), torch.tensor(expected, dtype=torch.float64))


def test_consistency_moves_only_the_perturbed_answer():
    held, log_q = HELD.clone().requires_grad_(), LOG_Q.clone().requires_grad_()
    consistency(held, log_q).sum().backward()
    assert held.grad is None
    same(log_q.grad, -HELD.exp())


def test_consistency_is_finite_where_the_held_answer_is_certain():
    held = torch.tensor([[0.0], [-torch.inf]])
    logits = torch.tensor([[0.0], [-300.0]], requires_grad=True)
    value = consistency(held, torch.log_softmax(logits, 0))
    assert value.item() == 0.0
    value.backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_balance_by_hand(weight):
    mean = LOG_Q.exp().mean(1).tolist()
    each = math.fsum(entropy(q) for q in columns(LOG_Q)) / N
    assert balance(LOG_Q, weight).item() == pytest.approx(each - weight * entropy(mean))


def test_balance_at_weight_one_is_minus_the_mutual_information():
    joint = LOG_Q.exp() / N
    independent = joint.sum(0) * joint.sum(1, keepdim=True)
    information = (joint * (joint / independent).log()).sum()
    same(balance(LOG_Q, 1.0), -information)


def test_a_prior_is_a_divergence_of_the_mean():
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    mean = LOG_Q.exp().mean(1)
    divergence = (mean * (mean / prior).log()).sum()
    same(balance(LOG_Q, 2.0, prior), balance(LOG_Q, 0.0) + 2 * divergence)


def test_balance_is_smallest_where_certain_answers_follow_the_prior():
    logits = torch.zeros(2, 4, requires_grad=True)
    prior = torch.tensor([0.75, 0.25])
    optimizer = torch.optim.Adam([logits], 0.1)
    logits.data.normal_(generator=seeded(2))
    for _ in range(300):
        optimizer.zero_grad()
        balance(torch.log_softmax(logits, 0), 4.0, prior).backward()
        optimizer.step()
    q = torch.softmax(logits, 0)
    assert q.max(0).values.min() > 0.98
    assert q[0].sum().item() == pytest.approx(3.0, abs=0.05)


def test_gradients_of_balance_are_finite_where_an_answer_is_certain():
    logits = torch.tensor([[0.0, 0.0], [-300.0, -300.0]], requires_grad=True)
    balance(torch.log_softmax(logits, 0), 4.0).backward()
    assert torch.isfinite(logits.grad).all()


def test_shared_information_by_hand():
    a, b = columns(HELD), columns(LOG_Q)
    table = [
        [
            math.fsum(p[k] * q[m] + p[m] * q[k] for p, q in zip(a, b, strict=True)) / (2 * N)
            for m in range(K)
        ]
        for k in range(K)
    ]
    margin = [math.fsum(row) for row in table]
    expected = math.fsum(
        table[k][m] * math.log(table[k][m] / (margin[k] * margin[m]))
        for k in range(K)
        for m in range(K)
    )
    assert shared_information(HELD, LOG_Q).item() == pytest.approx(expected)
    both = shared_information(torch.stack([HELD, LOG_Q], 1), torch.stack([LOG_Q, LOG_Q], 1))
    assert both[0].item() == pytest.approx(expected)
    same(both[1], shared_information(LOG_Q, LOG_Q))


def test_shared_information_is_the_log_of_the_number_of_even_certain_clusters():
    log_q = torch.full((K, 2 * K), -torch.inf)
    log_q[torch.arange(2 * K) % K, torch.arange(2 * K)] = 0.0
    assert shared_information(log_q, log_q).item() == pytest.approx(math.log(K), abs=1e-6)
