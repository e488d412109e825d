"""Discrete flows: every number comes back, none twice, and probabilities still sum to one."""

from itertools import product

import pytest
import torch

from anabranch.functional.modular import (
    coprime,
    divided,
    inverse,
    inverses,
    negative,
    one_hot_argmax,
    shifted,
)
from anabranch.models import discrete_flow
from anabranch.networks.degrees import DegreeMLP
from anabranch.transforms import ModuloAffine, OneHot


def every(levels, columns):
    return torch.tensor(list(product(range(levels), repeat=columns))).float()


@pytest.mark.parametrize("levels", [2, 3, 4, 6, 91])
def test_arithmetic_is_that_of_integers(levels):
    eye, k = torch.eye(levels), torch.arange(levels)
    units = k[coprime(levels)]
    for a in (1, levels // 2, levels - 1):
        assert torch.equal(shifted(eye, eye[a]).argmax(-1), (k - a) % levels)
        assert int(negative(eye[a]).argmax()) == -a % levels
    for s in units[:5]:
        quotient = divided(eye, eye[s]).argmax(-1)
        assert torch.equal(quotient * s % levels, k)
        assert int(inverse(eye[s]).argmax()) * int(s) % levels == 1 % levels
    assert (inverses(levels)[units] * units % levels == 1 % levels).all()


CASES = [(2, 3), (3, 3), (4, 2), (6, 3), pytest.param(91, 2, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("levels", "columns"), CASES)
@pytest.mark.parametrize("structure", ["bipartite", "autoregressive"])
def test_it_is_a_permutation_of_all_points(levels, columns, structure):
    x = every(levels, columns)
    for seed in range(3 if levels < 91 else 1):
        flow = discrete_flow(columns, levels=levels, structure=structure, n_layers=2, seed=seed)
        with torch.no_grad():
            z = torch.cat([flow.transform.encode(part)[0] for part in x.split(300)])
            again = torch.cat([flow.transform.decode(part)[0] for part in z.split(300)])
            total = sum(flow.log_prob(part).double().exp().sum() for part in x.split(300))
        assert torch.equal(again, x)
        assert len(z.argmax(-1).unique(dim=0)) == len(x)
        assert float(total) == pytest.approx(1, abs=1e-5)
        assert not torch.equal(z.argmax(-1).float(), x), "it moves something"


def test_scales_without_an_inverse_are_never_taken():
    flow = ModuloAffine([0, 1], 6, generator=torch.Generator().manual_seed(0))
    x = OneHot(2, 6).encode(every(6, 2))[0]
    _, scale = flow._told(x)
    assert set(scale.argmax(-1).unique().tolist()) <= {1, 5}


def test_columns_move_by_lower_degrees_alone():
    network = DegreeMLP([1, 0, 2], 3, 2, hidden=[9], generator=torch.Generator().manual_seed(0))
    x = torch.zeros(1, 3, 3)
    before = network(x)
    seen = []
    for column in range(3):
        other = x.clone()
        other[0, column] = 1
        seen.append((network(other) != before).any(-1)[0].tolist())
    assert seen == [[False, False, True], [True, False, True], [False, False, False]]


def test_the_argmax_has_the_gradient_of_a_softmax():
    logits = torch.tensor([0.3, 0.1, 0.2], requires_grad=True)
    hard = one_hot_argmax(logits, 0.5)
    assert hard.tolist() == [1, 0, 0]
    (straight,) = torch.autograd.grad(hard[1], logits)
    (soft,) = torch.autograd.grad((logits / 0.5).softmax(-1)[1], logits)
    assert torch.equal(straight, soft)


def test_a_flow_reaches_the_entropy_that_independent_columns_cannot():
    p, x = torch.tensor([0.63, 0.07, 0.03, 0.27]), every(2, 2)
    entropy, apart = -float((p * p.log()).sum()), 1.2519
    found = []
    for seed in (0, 4):
        flow = discrete_flow(2, levels=2, seed=seed)
        optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
        for _ in range(300):
            loss = -(p * flow.log_prob(x)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found.append(float(loss.detach()))
    assert min(found) == pytest.approx(entropy, abs=2e-3)
    assert max(found) < apart + 0.01


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (([], 3), "degrees"),
        (([-1], 3), "degrees"),
        (([0], 1), "levels"),
    ],
)
def test_bad_settings_are_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        ModuloAffine(*arguments)
    with pytest.raises(ValueError, match="temperature"):
        ModuloAffine([0], 3, temperature=0)
    with pytest.raises(ValueError, match="levels"):
        OneHot(2, 1)
    with pytest.raises(ValueError, match="structure"):
        discrete_flow(2, levels=3, structure="ring")
