"""The experiment on missing cells, on few rows with short fits."""

from functools import partial

import numpy as np

from anabranch import FlowMixture
from anabranch.experiments import missing_cells


def test_fits_with_gaps_are_compared(monkeypatch):
    quick = {"max_epochs": 2, "init_params": "kmeans", "covariance_type": "full"}
    monkeypatch.setattr(missing_cells, "TEST", 100)
    monkeypatch.setattr(
        missing_cells, "FlowMixture", lambda k, **how: FlowMixture(k, **{**quick, **how})
    )
    means = {"mean": partial(missing_cells.SimpleImputer, strategy="mean")}
    monkeypatch.setattr(missing_cells, "IMPUTERS", means)
    random = np.random.RandomState(0)
    labels = random.randint(2, size=400)
    X = random.randn(400, 3) @ [[1, 0.9, 0], [0, 0.5, 0], [0, 0, 1]] + 4 * labels[:, None]
    row = missing_cells.with_gaps(3, "made up", X, 300, 2, 0.3)
    assert (row.seed, row.table, row.share, row.by) == (3, "made up", 0.3, "mean")
    assert row.whole > row.gaps - 0.05 > row.imputed, "means pull correlated columns apart"
    assert row.gaps > row.gaussian - 0.05
