"""Stray rows beside a mixture of flows: they cost the others nothing, and are nobody's."""

import warnings

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowGMM, FlowMixture, load, save
from anabranch.estimators.column_warnings import ColumnWarning
from tests.estimators.data import blobs, quick

X, Y = blobs()
OTHERS = np.arange(1, len(X))


def with_stray(value):
    rows = X.copy()
    rows[0] = value
    return rows


def fitted(rows, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)
        return quick(**settings).fit(rows)


@pytest.mark.parametrize("value", [1e3, 1e4, 99999.0, 1e6])
def test_one_stray_row_costs_the_others_nothing(value):
    alone, beside = fitted(X[OTHERS]), fitted(with_stray(value))
    change = beside.score_samples(X[OTHERS]) - alone.score_samples(X[OTHERS])
    assert -0.02 < change.mean() < 0.02
    assert (beside.predict(X[OTHERS]) == alone.predict(X[OTHERS])).all()
    assert alone.contamination_ == 0
    assert 1 / len(X) < beside.contamination_ < 0.02


def test_the_stray_row_is_nobodys():
    mixture = fitted(with_stray(1e4))
    rows = with_stray(1e4)
    belongs = mixture.contamination_proba(rows)
    assert belongs[0] > 0.99
    assert belongs[OTHERS].max() < 0.5
    assert mixture.score_samples(rows[:1])[0] > -60
    found = mixture.predict(rows, outliers=1e-3)
    assert found[0] == -1
    assert (found[OTHERS] >= 0).mean() > 0.98
    # of which component it would be says little: none is certain
    assert mixture.predict_proba(rows[:1]).max() < 0.99


@pytest.mark.parametrize("share", ["auto", 0.2])
def test_draws_are_strange_as_often_as_it_says(share):
    mixture = fitted(with_stray(1e4), model_options={"contamination": share})
    drawn, labels = mixture.sample(20_000, random_state=0)
    assert set(labels) == {0, 1, 2}
    # the mean of a posterior over the model's own rows is the prior
    belongs = mixture.contamination_proba(drawn)
    error = 4 * belongs.std() / len(drawn) ** 0.5
    assert belongs.mean() == pytest.approx(mixture.contamination_, abs=error)
    assert error < mixture.contamination_ / 4
    assert share == "auto" or mixture.contamination_ == pytest.approx(share)


def test_it_says_which_row():
    with pytest.warns(ColumnWarning, match=r"1 of \d+ rows stand apart .* row 0 with 10000 in"):
        quick(max_epochs=0).fit(with_stray(1e4))


@pytest.mark.parametrize("kind", [FlowMixture, FlowGMM])
def test_files_keep_it(kind, tmp_path):
    rows = with_stray(1e5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)
        mixture = kind(3, max_epochs=2, random_state=0).fit(rows)
    save(mixture, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.score_samples(rows) == mixture.score_samples(rows)).all()
    assert again.contamination_ == mixture.contamination_ > 0
    assert again.facts()["contamination"] == mixture.contamination_


def test_it_is_learned_given_or_off():
    plain = X.copy()
    assert fitted(plain, max_epochs=0).contamination_ == 0
    learned = fitted(plain, max_epochs=0, model_options={"contamination": "learned"})
    assert 0 < learned.contamination_ < 0.02
    given = fitted(plain, max_epochs=0, model_options={"contamination": 0.1})
    assert given.contamination_ == pytest.approx(0.1)
    off = fitted(with_stray(1e3), max_epochs=0, model_options={"contamination": 0})
    assert off.contamination_ == 0
    for wrong in (0.7, -1, "some"):
        with pytest.raises(ValueError, match="contamination must be"):
            quick(model_options={"contamination": wrong}).fit(X)


def test_labelled_rows_are_never_set_apart():
    labels = np.full(len(X), -1)
    labels[0] = 2
    mixture = quick(max_epochs=0).fit(with_stray(60.0), labels)
    assert mixture.contamination_ == 0


def test_a_fit_goes_on_with_what_it_has():
    mixture = fitted(with_stray(1e4), max_epochs=1)
    again = fitted(X, max_epochs=1, start=mixture)
    assert again.contamination_ == pytest.approx(mixture.contamination_)


def test_tables_with_stray_rows():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"a": X[:, 0], "b": random.poisson(40, len(X)), "c": list("xyz" * 50)})
    frame.loc[5, "a"] = np.nan
    alone = fitted(frame[1:], columns="auto", missing="marginal")
    frame.loc[0, "a"] = 99999.0
    mixture = fitted(frame, columns="auto", missing="marginal")
    scores = mixture.score_samples(frame)
    assert abs((scores[1:] - alone.score_samples(frame[1:])).mean()) < 0.03
    assert mixture.predict(frame, outliers=1e-3)[0] == -1
    drawn = mixture.sample(2000, random_state=0)[0]
    assert drawn["b"].dtype == frame["b"].dtype
    assert np.isfinite(drawn["a"]).all()
    assert drawn["b"].min() >= 0


def test_a_share_is_a_parameter_where_it_is_learned():
    X = np.random.RandomState(0).randn(120, 2)
    counted = [
        FlowMixture(1, flow=None, model_options={"contamination": share}, random_state=0)
        .fit(X)
        ._n_parameters()
        for share in (0, 0.01, "learned")
    ]
    assert counted == [5, 5, 6]
