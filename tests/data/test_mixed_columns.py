"""Kinds of columns as users name them and as values speak for them, and tables coded and back."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from anabranch.data import read_mixed
from anabranch.data.column_kinds import infer_kind, read_kinds
from anabranch.data.table_coding import TableCoding

RANDOM = np.random.RandomState(0)
N = 100


def frame():
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(N)],
            "age": RANDOM.randint(18, 80, N),
            "income": np.exp(2 * RANDOM.randn(N) + 8),
            "smoker": RANDOM.uniform(size=N) < 0.3,
            "city": np.resize(["a", "b", "c"], N),
            "sort": pd.Categorical(np.resize(["u", "v"], N)),
            "children": np.resize([0, 1, 2, 1], N),
            "visits": RANDOM.poisson(15, N),
            "day": pd.date_range("2020-01-01", periods=N),
            "length": RANDOM.randn(N),
            "one": 7,
        }
    )


KINDS = {
    "id": "identifier",
    "age": "real",
    "income": "positive",
    "smoker": "binary",
    "city": "category",
    "sort": "binary",
    "children": "category",
    "visits": "count",
    "day": "date",
    "length": "real",
    "one": "constant",
}


def test_kinds_are_told_from_values():
    coding = TableCoding.of(frame())
    assert {column.name: column.kind.name for column in coding.columns} == KINDS


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.0, 1.0] * 9, "binary"),
        ([5.2e6, 5.2e6 + 1e-3, 5.2e6 + 2e-3] * 9, "real"),
        ([0.1 + 0.2, 0.3] * 9, "constant"),
        ([1, 2, 3, 4, 5] * 9, "category"),
        ([1, 2, 3, 4, 1000] * 9, "count"),
        (list(range(50)), "real"),
        ([-3, 2, 9, 14, -8, 20, 1, 5, 7, 12, -3, 16] * 3, "integer"),
        (["x"] * 9, "constant"),
    ],
)
def test_the_rules_one_by_one(values, kind):
    array = np.array(values)
    assert infer_kind(array).name == kind


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_frame_comes_back_as_it_was(library):
    given = frame().drop(columns=["sort"]) if library is pl else frame()
    given = pl.from_pandas(given) if library is pl else given
    coding = TableCoding.of(given)
    again = coding.decode(coding.encode(given))
    expected = given.drop("id") if library is pl else given.drop(columns="id")
    if library is pl:
        assert again.schema == expected.schema
        assert again.drop("income", "length").equals(expected.drop("income", "length"))
    else:
        pd.testing.assert_frame_equal(again, expected)


def test_codes_and_gaps():
    given = frame()
    given.loc[3, ["city", "length"]] = None
    coding = TableCoding.of(given)
    numbers = coding.encode(given)
    assert np.isnan(numbers).sum(0).tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert coding.encoded_names[5:] == ["smoker", "city", "sort", "children"][0:4]
    plain = json.loads(json.dumps(coding.plain()))
    assert TableCoding.from_plain(plain) == coding
    turned = given[list(reversed(given.columns))]
    assert np.array_equal(coding.encode(turned), numbers, equal_nan=True), "told by names"


def test_an_array_of_numbers_stays_one():
    X = np.c_[RANDOM.randn(20), np.resize([0.0, 1.0], 20)]
    coding = TableCoding.of(X)
    assert coding.levels == [2]
    again = coding.decode(coding.encode(X))
    assert again.dtype == np.float64
    assert (again == X).all()


def test_text_that_looks_like_numbers_stays_text():
    coding = TableCoding.of(pd.DataFrame({"k": np.resize(["01", "1"], 20), "x": RANDOM.randn(20)}))
    assert coding.columns[0].kind.categories == ("01", "1")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"nose": "real"}, "columns names column 'nose'; there are 3: a, b, c"),
        ({"a": "tall"}, "the kind of column 'a' must be 'real', .* got 'tall'"),
        ({"a": ("circle", -1)}, "the kind of column 'a' must be"),
        ({"a": ("interval", 2, 1)}, "the kind of column 'a' must be"),
        ({"a": "real", 0: "real"}, "columns names column 'a' twice"),
        ("all", "columns must be 'auto' or a dict"),
    ],
)
def test_wrong_kinds_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        read_kinds(spec, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("positive", "column 'a' is a positive: 1 of 4 values are no numbers above 0, such as -1"),
        ("count", "2 of 4 values are no whole numbers from 0, such as -1"),
        (("interval", -2, 2), "1 of 4 values are no numbers between -2 and 2, such as 3"),
        ("binary", "column 'a' is no binary: it holds 4 values"),
        ("date", "4 of 4 values are no dates"),
    ],
)
def test_values_of_another_kind_are_refused(kind, message):
    with pytest.raises(ValueError, match=message):
        TableCoding.of(pd.DataFrame({"a": [-1.0, 0.5, 1.0, 3.0]}), {"a": kind})


def test_text_among_numbers_is_refused_by_name():
    with pytest.raises(ValueError, match="column 'a' is a real: 1 of 3 values are no numbers"):
        TableCoding.of(pd.DataFrame({"a": [1, "u", 2]}, dtype=object), {"a": "real"})
    coding = TableCoding.of(pd.DataFrame({"k": np.resize(["u", "v"], 20)}))
    with pytest.raises(ValueError, match="column 'k' holds 'w', which is none of the categories"):
        coding.encode(pd.DataFrame({"k": ["u", "w"]}))
    with pytest.raises(ValueError, match="X lacks 1 of the 1 columns"):
        coding.encode(pd.DataFrame({"other": ["u"]}))


def test_files_of_mixed_columns(tmp_path):
    text = "x,city,smoker,day,k\n1.5,NA,true,2020-01-02,NA\n,u,false,2020-01-03,b\n"
    (tmp_path / "a.csv").write_text(text)
    table = read_mixed([tmp_path / "a.csv"], label_column="k")
    assert table.label_names == ["NA", "b"], "labels stay what they are"
    assert table.X.isna().sum().tolist() == [1, 1, 0, 0]
    assert [str(kind) for kind in table.X.dtypes][2:3] == ["bool"]
    table.X.to_parquet(tmp_path / "a.parquet")
    again = read_mixed([tmp_path / "a.parquet"], ["x", "day"])
    assert again.columns == ["x", "day"]
    assert again.X["day"].dtype.kind == "M"
    both = read_mixed([tmp_path / "a.csv", tmp_path / "a.csv"], label_column="k")
    assert len(both) == len(both.labels) == 4
