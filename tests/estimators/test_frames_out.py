"""Answers as frames, with the index of the rows asked about."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context

from anabranch import GaussianMixture
from tests.estimators.data import blobs

X, _ = blobs()
FRAME = pd.DataFrame(X, columns=["width", "height"], index=[f"r{i}" for i in range(len(X))])


@pytest.fixture(scope="module")
def plain():
    return GaussianMixture(3, random_state=0).fit(FRAME)


@pytest.fixture
def mixture():
    return GaussianMixture(3, random_state=0).fit(FRAME).set_output(transform="pandas")


def test_answers_keep_the_index(mixture, plain):
    answers = {"predict": "component", "score_samples": "log_prob", "outlier_scores": "tail"}
    for method, name in answers.items():
        found = getattr(mixture, method)(FRAME)
        assert isinstance(found, pd.Series)
        assert found.name == name
        assert found.index.equals(FRAME.index)
        assert (found.to_numpy() == getattr(plain, method)(FRAME)).all()
    proba = mixture.predict_proba(FRAME.iloc[5:])
    assert list(proba.columns) == list(mixture.transform(FRAME).columns)
    assert proba.index.equals(FRAME.index[5:])
    assert (proba.to_numpy() == plain.predict_proba(FRAME.iloc[5:])).all()
    assert (mixture.predict(FRAME, outliers=0.01) == plain.predict(FRAME, outliers=0.01)).all()
    assert mixture.fit_predict(FRAME).index.equals(FRAME.index)


def test_samples_have_the_columns(mixture, plain):
    rows, components = mixture.sample(4, random_state=0)
    assert list(rows.columns) == ["width", "height"]
    assert components.name == "component"
    arrays = plain.sample(4, random_state=0)
    assert (rows.to_numpy() == arrays[0]).all()
    assert (components == arrays[1]).all()


def test_polars_and_the_setting_of_scikit_learn(plain):
    asked = pl.DataFrame(FRAME.to_dict("list"))
    with config_context(transform_output="polars"):
        scores, proba = plain.score_samples(asked), plain.predict_proba(asked)
        rows, _ = plain.sample(2, random_state=0)
    assert isinstance(scores, pl.Series)
    assert proba.columns == ["gaussianmixture0", "gaussianmixture1", "gaussianmixture2"]
    assert rows.columns == ["width", "height"]


def test_without_it_they_are_arrays(plain):
    assert isinstance(plain.predict(FRAME), np.ndarray)
    assert isinstance(plain.predict_proba(FRAME), np.ndarray)
    assert isinstance(plain.sample(2)[0], np.ndarray)
