"""The experiments in small: their functions run, and their figures mean what they say."""

from pathlib import Path

import numpy as np
import pytest

from anabranch.experiments import list_experiments, pinwheel, tabular
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.problems import Pinwheel

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data folder is not beside the clone")


def test_all_experiments_of_the_plan_are_registered():
    names = {"pinwheel-default", "pinwheel-variational", "covertype-density", "tables-vs-gmm"}
    assert names | {"mnist04"} <= set(list_experiments())


def test_a_pinwheel_row_is_what_its_fields_say(monkeypatch):
    monkeypatch.setattr(pinwheel, "WING", 60)
    monkeypatch.setattr(pinwheel, "HELD_OUT", 500)
    row = pinwheel.fit(3, {"max_epochs": 1})
    assert row.seed == 3
    assert all(0.2 <= a <= 1 for a in (row.kmeans_acc, row.gmm_acc, row.acc_p, row.acc_q))
    held_out, _ = Pinwheel().sample(500, random_state=10_003)
    assert row.nats == pytest.approx(row.mixture.score(held_out))
    assert row.s > 0
    assert len(row.X) == 300
    assert pinwheel.picture(row.mixture, row.X).startswith(b"\x89PNG")


def test_split_standardises_by_the_training_rows_and_keeps_all():
    X = np.random.RandomState(0).normal(5, 3, (100, 2))
    train, validation, test = tabular.split(X, 1)
    assert [len(part) for part in (train, validation, test)] == [60, 20, 20]
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-12)
    assert abs(validation.mean()) > 1e-6


def test_columns_constant_in_training_are_left_out_everywhere():
    train, test = standardized(np.array([[1.0, 7], [2, 7]]), np.array([[3.0, 8]]))
    assert train.shape == (2, 1)
    assert test.shape == (1, 1)


def test_best_gaussian_mixture_finds_the_number_of_blobs():
    state = np.random.RandomState(0)
    X = np.concatenate([state.normal(c, 0.3, (200, 2)) for c in (-4, 0, 4)])
    order = state.permutation(len(X))
    found = best_gaussian_mixture(X[order[:400]], X[order[400:]], (1, 2, 3), 0)
    assert found.n_components == 3


@needs_data
def test_readers_of_the_real_tables():
    plant = tabular.read_uci(DATA / "uci" / tabular.UCI["power-plant"])
    assert plant.shape == (9568, 5)
    assert np.isfinite(plant).all()


@needs_data
@pytest.mark.slow
def test_covertype_has_its_ten_columns():
    assert tabular.read_covertype(DATA / "uci" / "covtype.csv.xz").shape == (581_012, 10)
