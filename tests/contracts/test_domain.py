"""Domains fit together or are refused with both sides named."""

import math
import re

import pytest
import torch

from anabranch.contracts import Circle, Integers, Interval, Product, Simplex, Sphere
from anabranch.contracts.domain import POSITIVE, REAL, UNIT
from anabranch.distributions import AutoregressiveModel, Bernoulli, Flow, Logistic, Mixture, Normal
from anabranch.networks import MADE
from anabranch.transforms import (
    Compose,
    Inverse,
    Logit,
    Permutation,
    Reverse,
    Standardize,
    Support,
    UniformDequantization,
)

ALL = [REAL, POSITIVE, UNIT, Circle(), Integers(), Integers(5), Sphere(), Simplex()]


@pytest.mark.parametrize("one", ALL, ids=str)
@pytest.mark.parametrize("other", ALL, ids=str)
def test_within(one, other):
    chains = ([UNIT, POSITIVE, REAL], [Integers(5), Integers()])
    ordered = any(
        one in chain and other in chain and chain.index(one) <= chain.index(other)
        for chain in chains
    )
    assert one.within(other) == (one == other or ordered)


def test_a_product_is_compared_part_by_part():
    columns = Product((UNIT, Circle()))
    assert columns.within(Product((POSITIVE, Circle())))
    assert not columns.within(Product((POSITIVE, REAL)))
    assert not columns.within(Product((POSITIVE,)))
    assert not columns.within(REAL)
    assert Product((UNIT, POSITIVE)).within(REAL)
    assert UNIT.within(Product((REAL, POSITIVE)))
    assert Product((Integers(2), Integers())).discrete
    assert not Product((Integers(2), REAL)).discrete


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (REAL, [-1e30, 0.0], [math.inf, math.nan]),
        (POSITIVE, [0.0, 1e30], [-1e-9]),
        (UNIT, [0.0, 0.5, 1.0], [-0.1, 1.1]),
        (Circle(1.0, 0.5), [0.5, 1.4], [0.4, 1.6]),
        (Integers(3), [0.0, 2.0], [3.0, -1.0, 0.5]),
        (Integers(), [-7.0, 2.0], [0.5]),
        (Sphere(), [[0.6, -0.8]], [[0.6, 0.6]]),
        (Simplex(), [[0.2, 0.8]], [[-0.2, 1.2], [0.2, 0.2]]),
        (Product((UNIT, Integers())), [[0.5, 3.0]], []),
    ],
    ids=str,
)
def test_contains(domain, inside, outside):
    assert domain.contains(torch.tensor(inside, dtype=torch.float64)).all()
    if outside:
        assert not domain.contains(torch.tensor(outside, dtype=torch.float64)).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Interval(1.0, 1.0), "lower must be below upper, got 1.0 and 1.0"),
        (lambda: Interval(math.nan, 1.0), "lower must be below upper"),
        (lambda: Circle(0.0), "period must be positive and finite, got 0.0"),
        (lambda: Integers(0), "levels must be at least 1, got 0"),
        (lambda: Product(()), "domains of single numbers"),
        (lambda: Product((REAL, Sphere())), "domains of single numbers"),
    ],
)
def test_what_is_no_domain_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_compose_names_both_domains():
    message = "part 1 gives points of the line, part 2 takes points of the interval (-0.5, 1.5)"
    with pytest.raises(ValueError, match=re.escape(f"Compose: {message}")):
        Compose([Standardize(2), Logit(2, alpha=0.25)])
    with pytest.raises(ValueError, match=r"the line, part 3 takes points of the integers 0\.\.255"):
        Compose([Standardize(2), Reverse(2), UniformDequantization(2)])


def test_what_keeps_any_domain_passes_it_on():
    chain = Compose([Reverse(2), UniformDequantization(2, levels=4), Permutation([1, 0]), Logit(2)])
    assert (chain.domain, chain.codomain) == (Integers(4), REAL)
    plain = Compose([Reverse(2), Permutation([1, 0])])
    assert (plain.domain, plain.codomain) == (None, None)
    with pytest.raises(ValueError, match="part 2 takes points that are alike in all places"):
        Compose([Inverse(Support([0.0, 0.0], [1.0, math.inf])), Reverse(2)])


def test_inverse_swaps_the_domains():
    logit = Logit(2)
    assert (Inverse(logit).domain, Inverse(logit).codomain) == (REAL, logit.domain)


def test_support_declares_its_columns():
    support = Support(
        [0.0, -math.inf, 1.0], [math.inf, math.inf, 2.0], periodic=[False, False, True]
    )
    assert support.domain == Product((POSITIVE, REAL, Circle(1.0, 1.0)))
    assert support.codomain == REAL


def bits():
    return AutoregressiveModel(MADE(2, 1), Bernoulli(), 2)


def test_flow_names_both_domains():
    message = "base takes points of the integers 0..1, the transform gives points of the line"
    with pytest.raises(ValueError, match=re.escape(message)):
        Flow(bits(), Standardize(2))
    with pytest.raises(
        ValueError, match=r"of the line, the transform gives points of the integers 0\.\.1"
    ):
        Flow(Normal(2), _Relabel([0, 1]))


class _Relabel(Permutation):
    """From the line to bits, if there were such a bijection."""

    domain, codomain = REAL, Integers(2)


def test_flows_and_mixtures_know_where_they_live():
    flow = Flow(bits(), Reverse(2))
    assert flow.domain == Integers(2)
    assert flow.discrete
    assert not Normal(2).discrete
    data = Flow(Logistic(2), Compose([UniformDequantization(2, levels=4), Logit(2)]))
    assert data.domain == Integers(4)
    assert data.discrete
    assert Mixture([flow, bits()]).discrete
    inside = Flow(Logistic(2), Logit(2))
    assert Mixture([inside, Normal(2)]).domain == REAL
    with pytest.raises(ValueError, match=r"agree in domain, got the line, the integers 0\.\.1"):
        Mixture([Normal(2), flow])
