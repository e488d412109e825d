"""The table of deep clustering, in small."""

import pytest

from anabranch.experiments import Run, clustering_table
from anabranch.experiments.baselines import kmeans

from .test_vmonf_mnist import bars

SMALL = {"rows": 500, "hidden": (32,), "pretrain_epochs": 20, "max_epochs": 5, "n_init": 2}


def test_it_runs_in_small(monkeypatch):
    monkeypatch.setattr(clustering_table, "DATA", {"MNIST": "bars"})
    monkeypatch.setattr(clustering_table, "NETWORK", {"latent": 3, "levels": 256})
    monkeypatch.setattr(clustering_table, "BUDGETS", {"cpu": SMALL})
    parts = {"train": bars(800, 0), "t10k": bars(200, 1)}
    monkeypatch.setattr(clustering_table, "images", lambda run, folder, part: parts[part])
    outcome = clustering_table.clustering_table(Run(seeds=(0,)))
    values = {figure.name: figure for figure in outcome.figures}
    for method in ("k-means", *clustering_table.METHODS):
        assert values[f"MNIST: test ACC of {method}"].value > 0.9
        assert values[f"MNIST: seconds of {method}"].value > 0
    assert values["MNIST: ACC of dec above its k-means"].met
    assert values["MNIST: published ACC of vade"].value == 0.9446
    lines = outcome.table.splitlines()
    assert len(lines) == 7
    assert lines[-1].split()[:2] == ["MNIST", "vade"]
    assert lines[-1].split()[-1] == "0.945"


def test_rows_are_chosen_by_the_seed(monkeypatch):
    seen = []

    def watched(X, n_clusters, seed):
        seen.append(X)
        return kmeans(X, n_clusters, seed)

    monkeypatch.setattr(clustering_table, "kmeans", watched)
    train, test = bars(100, 0), bars(50, 1)
    for seed in (0, 0, 1):
        clustering_table.score("k-means", train, test, {**SMALL, "rows": 40}, seed)
    assert [X.shape for X in seen] == [(40, 64)] * 3
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != seen[2]).any()


def test_the_images_have_to_be_there():
    with pytest.raises(FileNotFoundError, match="give the folder of the data sets by --data"):
        clustering_table.images(Run(seeds=(0,)), "mnist", "train")
