"""The experiment on latent trees in small."""

from importlib import import_module

import numpy as np
import pytest

from anabranch.experiments import Run, ltvae_blobs


@pytest.mark.slow
def test_ltvae_blobs_run(monkeypatch):
    monkeypatch.setattr(ltvae_blobs, "ROWS", 200)
    monkeypatch.setattr(import_module("anabranch.procedures.fit_ltvae"), "CONTRASTS", ("logcosh",))
    sizes = {"latent": 3, "hidden": [8], "pretrain": {"epochs": 1}, "max_epochs": 2}
    for name, value in sizes.items():
        monkeypatch.setitem(ltvae_blobs.SETTINGS, name, value)
    outcome = ltvae_blobs.ltvae_blobs(Run(seeds=(100,)))
    values = {figure.name: figure.value for figure in outcome.figures}
    assert len(outcome.table.splitlines()) == 6
    both = [values[f"mean ACC of LTVAE, the {which} clustering"] for which in ("first", "second")]
    assert min(both) == pytest.approx(values["worst ACC of LTVAE over seeds and clusterings"])
    assert all(1 / 3 <= value <= 1 for value in both)


def test_the_best_clustering_counts():
    labels = np.array([0, 0, 1, 1])
    candidates = np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
    assert ltvae_blobs.accuracy(labels, candidates) == 1
    assert ltvae_blobs.accuracy(labels, candidates[:, :1]) == 0.5
