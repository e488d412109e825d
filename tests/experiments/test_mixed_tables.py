"""The experiment on mixed tables, on a made up table with short fits."""

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowMixture
from anabranch.data.table_coding import TableCoding
from anabranch.experiments import mixed_rivals, mixed_tables
from anabranch.experiments.public_tables import PublicTable, point_masses, with_hurdles


def made_up(n=150):
    random = np.random.RandomState(0)
    kind = random.randint(2, size=n)
    frame = pd.DataFrame(
        {
            "a": random.randn(n) + 6 * kind,
            "b": np.exp(4 * random.randn(n)),
            "rain": np.where(random.rand(n) < 0.3, 0.0, 2 + random.rand(n)),
            "city": random.choice(["u", "v"], n),
        }
    )
    frame.loc[3, "a"] = None
    return PublicTable(frame, kind.astype(np.int64), 2)


def test_a_table_by_all_methods(monkeypatch):
    for package in ("stepmix", "kmodes"):
        pytest.importorskip(package)
    quick = {"init_params": "kmeans", "covariance_type": "full", "flow": None}
    monkeypatch.setattr(
        mixed_tables, "FlowMixture", lambda k, **how: FlowMixture(k, **{**how, **quick})
    )
    monkeypatch.setattr(mixed_rivals, "RIDGES", (1e-3,))
    row = mixed_tables.compared(3, "made up", made_up())
    assert (row.seed, row.table, row.k, row.rows) == (3, "made up", 2, 89)
    assert min(row.ours, row.stepmix, row.accuracy) > 0.9
    assert row.nats == pytest.approx(row.stepmix_nats, abs=0.5), "in the same units"


def test_stepmix_is_scored_as_it_scores_itself():
    pytest.importorskip("stepmix")
    frame = made_up().frame[["a", "city"]].dropna()
    table = mixed_rivals.coded(TableCoding.of(frame), frame, frame, frame)
    model = mixed_rivals._stepmix(table, 2, "gaussian_full", 1e-3).set_params(random_state=0)
    own = model.fit(table.train).score(table.train)
    mixture = mixed_rivals.stepmix_mixture(model, table)
    assert mixture.log_prob(table.train).mean() == pytest.approx(own, abs=5e-3)  # pseudo-rows


def test_point_masses_become_hurdles():
    frame = made_up().frame
    masses = point_masses(frame)
    assert masses == {"rain": (0.0,)}
    hurdles = with_hurdles(frame, masses)
    dry = frame["rain"] == 0
    assert (hurdles["rain"].isna() == dry).all()
    assert ((hurdles["rain at"] == "0.0") == dry).all()
