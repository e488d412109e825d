"""Vines that rows choose, and ours beside pyvinecopulib's."""

import sys

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.distributions import Flow, KernelDensity, Normal
from anabranch.procedures import fit_rows
from anabranch.transforms import Compose, CVine, DVine, NormalScores, RVine

pv = pytest.importorskip("pyvinecopulib")
NAMES = {"gaussian": "gaussian", "clayton": "clayton", "clayton180": "clayton", "frank": "frank"}


def theirs(kind, families, trees, d):
    """A vine of the same pairs; pyvinecopulib has the last variable of an order first."""
    order = list(range(1, d + 1))
    structure = pv.CVineStructure if kind is CVine else pv.DVineStructure
    pairs = [
        [
            pv.Bicop(
                getattr(pv.BicopFamily, NAMES[family]),
                180 if family.endswith("180") else 0,
                np.array([[value]]),
            )
            for value in (values if kind is DVine else reversed(values))
        ]
        for family, values in zip(families, trees, strict=True)
    ]
    order = order if kind is DVine else order[::-1]
    return pv.Vinecop.from_structure(structure=structure(order), pair_copulas=pairs)


@pytest.mark.parametrize("kind", [CVine, DVine])
def test_our_vines_have_the_densities_of_pyvinecopulib(kind):
    families, trees = ["clayton", "frank", "gaussian"], [[2.0, 0.7, 1.3], [3.0, 1.5], [-0.4]]
    vine = kind(4, families=families).double()
    vine.set_pairs([torch.tensor(values, dtype=torch.float64) for values in trees])
    # farther out the package rounds shares that are nearly one
    x = 0.6 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0)).double()
    other = theirs(kind, families, trees, 4)
    expected = np.log(other.pdf(np.asfortranarray(torch.special.ndtr(x).numpy())))
    found = vine.log_copula_density(x).detach().numpy()
    largest = float(np.abs(found - expected).max())
    assert largest < 1e-8
    again = RVine(4).double()
    again.set_vines([other.to_json()])
    assert np.abs(again.log_copula_density(x).numpy() - expected).max() < 1e-8


def correlated(n, seed=0):
    factor = torch.tensor([[1.0, 0, 0], [0.7, 0.714, 0], [-0.5, 0.3, 0.81]]).double()
    noise = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)).double()
    return noise @ factor.T, factor @ factor.T


def test_rows_choose_a_vine_whose_rosenblatt_transform_is_uniform():
    x, covariance = correlated(3000)
    vine = RVine(3, families="gaussian").double()
    vine.fit_rows(x)
    held_out, _ = correlated(2000, seed=1)
    z, _ = vine.encode(held_out)
    assert all(stats.kstest(column, "norm").pvalue > 0.01 for column in z.T)
    normal = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance)
    scale = torch.distributions.Normal(0.0, 1.0).log_prob(held_out).sum(-1)
    gap = normal.log_prob(held_out) - scale - vine.log_copula_density(held_out)
    assert abs(float(gap.mean())) < 0.01


def test_weights_count_rows():
    x, _ = correlated(400)
    other = torch.randn(200, 3, generator=torch.Generator().manual_seed(3)).double()
    both = torch.cat((x, other))
    weights = torch.cat((torch.ones(400), torch.zeros(200)))
    vine, stack = RVine(3, families="gaussian").double(), RVine(3, batch_shape=(2,)).double()
    stack.families = vine.families
    vine.fit_rows(x)
    stack.fit_rows(both, torch.stack((weights, 1 - weights)))
    # log-likelihoods aside, which the texts hold as well
    here, there = (v.log_copula_density(x) for v in (vine, stack))
    assert torch.allclose(here, there[0], atol=1e-6)
    assert (here - there[1]).abs().max() > 0.1


def test_a_vine_is_loaded_into_one_without_pairs():
    x, _ = correlated(300)
    flow, other = (
        Flow(Normal(3), Compose([NormalScores(KernelDensity(3)), RVine(3)])).double()
        for _ in range(2)
    )
    fit_rows(flow, x)
    other.load_state_dict(flow.state_dict())
    assert torch.equal(flow.log_prob(x), other.log_prob(x))
    assert flow.log_prob(x).mean() > Normal(3).double().log_prob(x).mean() + 0.2


def test_truncation_and_families_are_kept_to():
    x, _ = correlated(300)
    vine = RVine(3, families=["indep", "frank"], trees=1).double()
    vine.fit_rows(x)
    chosen = pv.Vinecop.from_json(vine.texts()[0])
    assert chosen.trunc_lvl == 1
    assert {pair.family.name for pair in chosen.pair_copulas[0]} <= {"frank", "indep"}


def test_errors():
    with pytest.raises(ValueError, match=r"families.*'normal'"):
        RVine(3, families="normal")
    with pytest.raises(ValueError, match="features=1"):
        RVine(1)
    with pytest.raises(ValueError, match="trees=3"):
        RVine(3, trees=3)
    with pytest.raises(ValueError, match="criterion"):
        RVine(3, criterion="cv")
    with pytest.raises(ValueError, match="1 vines, got 2"):
        RVine(3).set_vines(["", ""])


def test_without_the_package_an_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvinecopulib", None)
    with pytest.raises(ImportError, match=r"anabranch\[copula\]"):
        RVine(2).fit_rows(torch.randn(20, 2))
