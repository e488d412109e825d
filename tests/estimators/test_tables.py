"""Frames and masked arrays: a column that holds no numbers is named."""

import numpy as np
import pandas as pd
import polars
import pytest

from anabranch import DeepClustering, FlowDensity, FlowMixture, GaussianMixture
from anabranch.estimators.tables import plain_table

A = np.random.RandomState(0).randn(6)
COLUMNS = {
    "text": (["u", "v"] * 3, "holds text such as 'u', expected numbers: encode it"),
    "digits": (["1", "2"] * 3, "holds text such as '1'"),
    "category": (pd.Categorical(["u", "v"] * 3), "holds text such as 'u'"),
    "dates": (pd.date_range("2020", periods=6), "holds datetime64.* such as '2020-01-01"),
    "durations": (pd.to_timedelta(range(6), unit="s"), "holds timedelta64"),
    "zones": (pd.date_range("2020", periods=6, tz="UTC"), "holds datetime64"),
    "periods": (pd.period_range("2020", periods=6), "holds period"),
    "sparse": (pd.arrays.SparseArray([0, 1] * 3), "is sparse; make it dense"),
    "complex": (A + 1j, "holds complex128"),
    "mixed": ([1, 2, 3, 4, 5, "x"], "holds text such as 'x'"),
    "large": (np.arange(6) + 2**53, "holds 9007199254740993, which double precision does not"),
    "nullable": (pd.array([2**53 + 1, None] * 3, dtype="Int64"), "holds 9007199254740993"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_a_frame_that_holds_no_numbers_is_named(kind):
    values, message = COLUMNS[kind]
    frame = pd.DataFrame({"a": A, "city": values})
    for estimator in (FlowMixture(2), GaussianMixture(2), DeepClustering(2)):
        with pytest.raises(ValueError, match=f"column 'city' {message}"):
            estimator.fit(frame)


def test_frames_of_polars_and_contexts_are_looked_at_likewise():
    with pytest.raises(ValueError, match="column 'city' holds text such as 'u'"):
        plain_table(polars.DataFrame({"a": A, "city": ["u", "v"] * 3}))
    with pytest.raises(ValueError, match=r"column 'city' holds Datetime.* such as '2020"):
        plain_table(polars.DataFrame({"city": pd.date_range("2020", periods=6).to_numpy()}))
    with pytest.raises(ValueError, match="column 'city' holds text such as 'u'"):
        FlowDensity().fit(A[:, None], context=pd.DataFrame({"city": ["u", "v"] * 3}))


def test_numbers_of_all_kinds_pass():
    frame = pd.DataFrame(
        {
            "bool": [True, False],
            "object": np.array([1, 2.5], dtype=object),
            "nullable": pd.array([1, None], dtype="Int64"),
            "float32": np.ones(2, np.float32),
            "category": pd.Categorical([3, 4]),
        }
    )
    assert plain_table(frame) is frame
    frame = polars.DataFrame({"a": [1, None], "b": [True, False], "c": [0.5, None]})
    assert plain_table(frame) is frame


def test_masked_values_are_missing_ones():
    X = np.ma.masked_array(np.random.RandomState(0).randn(20, 2), mask=False)
    expected = GaussianMixture(2, random_state=0).fit(X.data).means_
    assert (GaussianMixture(2, random_state=0).fit(X).means_ == expected).all()
    X[3, 1] = np.ma.masked
    for estimator in (FlowMixture(2), GaussianMixture(2), DeepClustering(2)):
        with pytest.raises(ValueError, match=r"in 1 of 2 columns: 'x1' \(1 NaN\), first in row 3"):
            estimator.fit(X)


def test_integers_of_an_array_that_are_not_held():
    X = np.arange(12).reshape(6, 2)
    X[2, 1] = 2**53 + 1
    with pytest.raises(ValueError, match="column 'x1' holds 9007199254740993"):
        GaussianMixture(2).fit(X)
