"""Deep clustering of digits, in small."""

import numpy as np
import pytest

from anabranch.experiments import Run, clustering_digits
from anabranch.experiments.clustering_table import METHODS, Score
from anabranch.experiments.seeded import Rows

from .test_clustering_table import SMALL

# one row of each method: accuracy, that of its start, that of the rows trained on, seconds
FOUND = {method: [Score(0.5 + 0.01 * i, 0.4, 0.5, 1.0)] for i, method in enumerate(METHODS)}


@pytest.fixture(scope="module")
def outcome():
    with pytest.MonkeyPatch.context() as patch:
        X, y = clustering_digits.load_digits(return_X_y=True)
        patch.setattr(clustering_digits, "load_digits", lambda return_X_y: (X[:300], y[:300]))
        network = {"latent": 10, "hidden": (64,), "levels": 17}
        coders = {"pretrain": {"epochs": 150}, "max_epochs": 5}
        small = {**SMALL, "rows": None, "network": network, "DeepClustering": coders, "n_init": 2}
        patch.setattr(clustering_digits, "SETTINGS", small)
        patch.setattr(clustering_digits, "RANDOM", {"start": "random", "max_epochs": 1})
        patch.setattr(clustering_digits, "METHODS", METHODS[:6])
        patch.setattr("anabranch.experiments.clustering_table.METHODS", METHODS[:6])
        patch.setattr(clustering_digits, "_figures", lambda found, further: (found, further))
        return clustering_digits.clustering_digits(Run(seeds=(100, 101)))


@pytest.mark.slow
def test_all_is_compared_on_the_rows_that_were_clustered(outcome):
    found, further = outcome.figures
    curve, line, diagonal, *random = map(further.mean, further.fields)
    assert set(found) == set(METHODS[:6])
    for scores in found.values():
        assert len(scores) == 2
        for one in scores:
            assert not one.error
            assert one.test == one.after  # the same rows
            assert one.test > 0.3
    assert 0.3 < diagonal < 0.95
    assert all(0.1 <= one <= 1 for one in random)
    assert outcome.table.splitlines()[1].startswith("k-means")
    assert 0.3 < curve / line < 2


def test_principal_components_are_those_of_the_pixels(outcome):
    X = clustering_digits.load_digits(return_X_y=True)[0][:300] / 16
    values = np.linalg.svd(X - X.mean(0), compute_uv=False)
    lost = np.square(values[10:]).sum() / X.size
    assert outcome.figures[1].mean("line") == pytest.approx(lost, rel=1e-6)


def test_figures_are_differences_of_means():
    two = {
        name: [score, score._replace(test=score.test + 0.02)] for name, (score,) in FOUND.items()
    }
    further = Rows([clustering_digits.Further(0.3, 0.4, 0.45, 0.6, 0.5)])
    values = {f.name: f for f in clustering_digits._figures(two, further)}
    of = {name: 0.51 + 0.01 * i for i, name in enumerate(METHODS)}
    assert values["squared error of the autoencoder over that of PCA"].value == pytest.approx(0.75)
    assert values["ae+gmm less a diagonal mixture of pixels"].value == pytest.approx(0.07)
    assert values["vade less ae+gmm"].value == pytest.approx(of["vade"] - of["ae+gmm"])
    assert values["dec less its k-means"].value == pytest.approx(of["dec"] - 0.4)
    assert values["mixae less k-means on codes"].value == pytest.approx(of["mixae"] - 0.4)
    assert values["EnumY from nothing, annealed less not"].value == pytest.approx(0.1)
    assert values["ACC of ltvae"].value == pytest.approx(of["ltvae"])
    assert values["vade less its start"].value == pytest.approx(of["vade"] - 0.4)
