"""The experiment on odd rows, on a made up table with short fits."""

import numpy as np

from anabranch import FlowMixture
from anabranch.experiments import odd_rows


def test_rare_rows_are_read_and_found(monkeypatch, tmp_path):
    random = np.random.RandomState(0)
    lines = ["@relation made up", "@data"]
    lines += [
        f"{a:.3f},{b:.3f},{'uv'[i % 2]},7, usual" for i, (a, b) in enumerate(random.randn(90, 2))
    ]
    lines += [f"{x}, {y},u,7, rare" for x, y in ((9, 9), (-8, 0.5), (0, 12), (7, -9))]
    (tmp_path / "t.dat").write_text("\n".join(lines))
    frame, rare = odd_rows.read_rare(tmp_path / "t.dat")
    assert list(frame.columns) == ["x0", "x1", "x2"]  # the constant is left out
    assert frame["x0"].dtype == np.float64
    assert rare.tolist() == [False] * 90 + [True] * 4
    monkeypatch.setattr(odd_rows, "COMPONENTS", 1)
    quick = {"max_epochs": 1, "init_params": "kmeans", "covariance_type": "full"}
    monkeypatch.setattr(
        odd_rows, "FlowMixture", lambda k, **how: FlowMixture(k, **{**how, **quick})
    )
    row = odd_rows.judged(3, "made up", (frame, rare))
    assert (row.seed, row.table, row.rows, row.rare) == (3, "made up", 94, 4)
    assert row.gaussians > 0.9
    assert row.forest > 0.9
