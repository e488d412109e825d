"""The comparison of flows on tables, in small."""

from functools import partial

import numpy as np
import pytest

from anabranch.estimators import FlowDensity
from anabranch.experiments import Run, density_tables
from anabranch.experiments.density_tables import NAVAL_NOISE, Spec, one_unit, parts
from anabranch.experiments.sizes import of_size, parameters


@pytest.fixture
def small(monkeypatch):
    """Two small tables, small flows and little training."""
    random = np.random.RandomState(0)
    angle = random.rand(900) * np.pi
    ring = np.stack([np.cos(angle), np.sin(angle), angle], 1) + 0.05 * random.randn(900, 3)
    monkeypatch.setattr(density_tables, "read", lambda name, run: ring.round(2))
    table = Spec(one_unit([2] * 3), 30, 100, copies=2)
    monkeypatch.setattr(density_tables, "TABLES", {"covtype": table, "naval": table})
    flows = {
        name: {**flow, "n_layers": 2, "hidden": [16, 16]}
        for name, flow in density_tables.FLOWS.items()
        if name != "RNADE"
    }
    flows["RNADE"] = {"name": "rnade", "components": 5, "hidden": 16}
    monkeypatch.setattr(density_tables, "FLOWS", flows)
    monkeypatch.setattr(density_tables, "K_OF_GMM", (2, 4))
    monkeypatch.setattr(density_tables, "COMPONENTS", 2)


@pytest.mark.slow
def test_it_compares_all_models(small):
    outcome = density_tables.tabular_density(Run(seeds=(100,)))
    figures = {figure.name: figure for figure in outcome.figures}
    assert len(figures) == 7 + 2 * 6  # each model on each table
    assert figures["covtype, NSF above the best GMM, nats"].value > -1.0
    header, first, *_ = outcome.table.splitlines()
    assert header.split() == ["table", "GMM", "RealNVP", "MAF", "NSF", "RNADE", "mixture"]
    scores = np.array(first.split()[1:], dtype=float)
    # entropy of the ring's place in its tube, to about a nat
    assert (abs(scores - scores.mean()) < 2).all()


def test_noise_stays_within_the_last_digit():
    X = np.round(np.random.RandomState(0).rand(500, 2) * 9, 1)
    noisy = one_unit([1, 0])(X, np.random.RandomState(1))
    added = noisy - X
    assert (added >= 0).all()
    assert 0.09 < added[:, 0].max() < 0.1
    assert 0.9 < added[:, 1].max() < 1.0


def test_parts_share_no_row():
    X = np.arange(1000.0)[:, None]
    three = parts(X, Spec(lambda X, random: X, 1, 1, copies=3), 0)
    assert [len(part) for part in three] == [1800, 200, 200]
    assert len(np.unique(np.concatenate(three))) == 1000
    assert abs(three[0].mean()) < 1e-12
    one = parts(X, Spec(lambda X, random: X, 1, 1, (100, 50, 25)), 0)
    assert [len(part) for part in one] == [100, 50, 25]


@pytest.mark.parametrize("name", density_tables.ONE_FLOW)
def test_a_flow_is_as_wide_as_its_number_of_parameters_allows(name):
    flow = density_tables.FLOWS[name]
    most = parameters(flow, 9) // 5
    narrow = of_size(flow, 9, most)
    wider = {**flow, "hidden": [width + 1 for width in narrow["hidden"]]}
    assert parameters(narrow, 9) <= most < parameters(wider, 9)
    assert of_size(flow, 9, 10**9) == flow
    assert NAVAL_NOISE > 0


def test_maf_beside_realnvp_of_its_size(monkeypatch):
    quick = partial(FlowDensity, max_epochs=1)
    monkeypatch.setattr(density_tables, "FlowDensity", quick)
    outcome = density_tables.maf_realnvp(Run(seeds=(100,)))
    sizes = [parameters(outcome.settings[name], 30) for name in ("MAF", "RealNVP")]
    assert 0.9 * sizes[0] < sizes[1] <= sizes[0]
    assert all(np.isfinite(figure.value) for figure in outcome.figures)
