"""The report of the real estimator."""

import re

import numpy as np
import pytest

from anabranch import FlowMixture
from anabranch.reports import build_report, save_cluster_figure


@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_report_of_a_flow_mixture(tmp_path, inference):
    rng = np.random.RandomState(0)
    labels = np.repeat(np.arange(3), 60)
    X = 0.5 * rng.randn(180, 2) + np.array([[0, 0], [4, 0], [0, 4]])[labels]
    est = FlowMixture(3, inference=inference, max_epochs=3, random_state=0).fit(X)
    html = build_report(est, X, labels, path=tmp_path / "report.html")
    assert "There is no posterior network" not in html
    assert f"{est.score_samples(X).mean():.4f} nats per row" in html
    accuracy = re.search(r"accuracy \(ACC\)</th><td>([\d.]+)", html)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.95
    assert "Training curves" in html
    save_cluster_figure(est, X, tmp_path / "clusters.png", dpi=40)
    assert len(list(tmp_path.iterdir())) == 2
