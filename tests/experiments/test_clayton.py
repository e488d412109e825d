"""The experiment on Clayton's copula: its own truth, and a small run of it."""

import numpy as np
import pytest
from scipy import stats

from anabranch.experiments import Run, clayton


def test_the_truth_is_the_copula():
    u = clayton.draw_uniforms(200_000, np.random.RandomState(5))
    assert clayton.log_density(u).mean() == pytest.approx(clayton.ENTROPY, abs=0.01)
    assert stats.kendalltau(*u[:20_000].T).statistic == pytest.approx(0.5, abs=0.015)
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 0.01


def test_a_small_run_finds_the_dependence(monkeypatch):
    for name, value in (("ROWS", 4000), ("STEPS", 250), ("BATCH", 1000), ("TUNING_ROWS", 4000)):
        monkeypatch.setattr(clayton, name, value)
    figures = {f.name: f for f in clayton.clayton(Run(seeds=(100,))).figures}
    assert figures["theta (truth 2)"].value == pytest.approx(2, abs=0.5)
    assert 0 < figures["NLL above the truth, nats"].value < 0.1
    assert figures["mean log c held out, nats"].target == pytest.approx(0.4214)
