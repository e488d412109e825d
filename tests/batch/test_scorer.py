"""Answers for batches of any kind of table, and rows that have none."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from anabranch import FlowDensity, GaussianMixture, save
from anabranch.batch import Scorer

random = np.random.RandomState(0)
frame = pd.DataFrame(
    {"id": [f"r{k}" for k in range(60)], "b": random.randn(60), "a": random.randn(60)}
)
KINDS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "table": pa.Table.from_pandas,
    "batch": pa.RecordBatch.from_pandas,
    "dict": lambda frame: {name: frame[name].to_numpy() for name in frame},
}
ALL = ("component", "certainty", "log_prob")


@pytest.fixture(scope="module")
def mixture():
    return GaussianMixture(2, random_state=0).fit(frame[["a", "b"]])


@pytest.fixture(scope="module")
def path(mixture, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    save(mixture, path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_taken_by_name_and_the_kind_comes_back(path, mixture, kind):
    given = KINDS[kind](frame)
    found = pickle.loads(pickle.dumps(Scorer(path, ALL, key="id")))(given)
    assert type(found) is type(given)
    X = frame[["a", "b"]]
    assert list(np.asarray(found["id"])) == frame["id"].tolist()
    assert (np.asarray(found["log_prob"]) == mixture.score_samples(X)).all()
    assert (np.asarray(found["component"]) == mixture.predict(X)).all()
    assert (np.asarray(found["certainty"]) == mixture.predict_proba(X).max(1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_cannot_be_scored_are_null(path, mixture, kind, bad):
    spoilt = frame.assign(a=frame["a"].where(np.arange(60) % 7 > 0, bad))
    good = np.isfinite(spoilt["a"]).to_numpy()
    found = Scorer(path, ALL, on_bad="null")(KINDS[kind](spoilt))
    scores = pd.Series(np.asarray(found["log_prob"])).astype(float)
    assert (scores.isna() == ~good).all()
    assert (scores[good] == mixture.score_samples(spoilt.loc[good, ["a", "b"]])).all()
    components = pd.Series(np.asarray(found["component"])).astype(float)
    assert (components.isna() == ~good).all()
    with pytest.raises(ValueError, match="'a'"):
        Scorer(path)(KINDS[kind](spoilt))


def test_a_batch_without_good_rows_and_one_without_rows(path):
    scorer = Scorer(path, on_bad="null")
    assert scorer(frame.assign(a=np.nan))["log_prob"].isna().all()
    assert len(scorer(frame[:0])) == 0


def test_the_file_is_loaded_once_and_again_when_it_changes(path, mixture, monkeypatch, tmp_path):
    seen = []
    loaded = Scorer.estimator.fget.__globals__["load_estimator"]
    monkeypatch.setattr(
        "anabranch.batch.scorer.load_estimator", lambda path: seen.append(path) or loaded(path)
    )
    save(mixture, tmp_path / "m")
    for _ in range(3):
        Scorer(tmp_path / "m")(frame)
    assert len(seen) == 1
    save(GaussianMixture(3, random_state=1).fit(frame[["a", "b"]]), tmp_path / "m")
    Scorer(tmp_path / "m")(frame)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"outputs": ("density",)}, "outputs are some of"),
        ({"outputs": ()}, "outputs are some of"),
        ({"on_bad": "drop"}, "on_bad must be"),
    ],
)
def test_settings_that_there_are_not(path, settings, said):
    with pytest.raises(ValueError, match=said):
        Scorer(path, **settings)


def test_batches_that_do_not_fit(path, tmp_path):
    with pytest.raises(ValueError, match="lacks columns: a"):
        Scorer(path)(frame[["b"]])
    with pytest.raises(ValueError, match="lacks columns: name"):
        Scorer(path, key="name")(frame)
    with pytest.raises(TypeError, match="columns by name, got a ndarray"):
        Scorer(path)(np.zeros((3, 2)))
    save(FlowDensity(max_epochs=0).fit(frame[["a", "b"]]), tmp_path / "density")
    with pytest.raises(ValueError, match="a density without clusters"):
        Scorer(tmp_path / "density")(frame)
    assert len(Scorer(tmp_path / "density", ("log_prob",))(frame)) == 60
