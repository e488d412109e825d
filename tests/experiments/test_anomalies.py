"""The experiment on anomalies, on a table of ours."""

import numpy as np
import pytest

from anabranch.experiments import anomalies

pd = pytest.importorskip("pandas")


@pytest.mark.slow
def test_odd_rows_far_out_are_found_by_all(monkeypatch):
    monkeypatch.setattr(anomalies, "COMPONENTS", (1,))
    random = np.random.RandomState(0)
    rows = np.concatenate((random.normal(size=(120, 2)), 9 + random.normal(size=(4, 2))))
    frame, rare = pd.DataFrame(rows, columns=["a", "b"]), np.arange(124) >= 120
    found = anomalies.judged(100, "ours", (frame, rare))
    assert min(found.flows, found.forest, found.mixture) > 0.95
    assert found.rare == 4


def test_noise_of_hdbscan_is_the_oddest():
    rows = np.random.RandomState(0).normal(size=(60, 2))
    scores = anomalies.hdbscan_scores(np.concatenate((rows, [[50.0, 50.0]])))
    assert scores[-1] == 1 == scores.max()
