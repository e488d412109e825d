"""A column of what rows count."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load

from .conftest import blobs

X, KIND = blobs()


@pytest.fixture
def counted(tmp_path):
    """The first cluster counts for nine of ten rows."""
    table = pd.DataFrame({"a": X[:, 0], "w": np.where(KIND == 0, 18.0, 1.0), "b": X[:, 1]})
    table.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


@pytest.mark.parametrize("columns", [(), ("--kind", "auto"), ("--columns", "a,b")])
def test_the_weights_of_the_model_are_those_of_the_column(succeed, counted, tmp_path, columns):
    how = ("-k", 3, "--max-epochs", 0, "--weight-column", "w", *columns)
    succeed("fit", counted, "-o", tmp_path / "m", *how)
    model = load(tmp_path / "m")
    assert model.column_names == ["a", "b"]
    assert sorted(model.weights_) == pytest.approx([0.05, 0.05, 0.9], abs=0.01)
    succeed("predict", tmp_path / "m", counted, "-o", tmp_path / "p.csv")
    assert len(pd.read_csv(tmp_path / "p.csv")) == len(X)


def test_columns_that_are_no_weights(fail, cli, counted, tmp_path):
    table = pd.read_csv(counted)
    output = ("-o", tmp_path / "m", "--max-epochs", 0, "-k", 2)
    assert "--weight-column names 'v'; the columns are a, w, b" in fail(
        "fit", counted, *output, "--weight-column", "v"
    )
    table.assign(w=-1).to_csv(counted, index=False)
    sentence = fail("fit", counted, *output, "--weight-column", "w")
    assert "sample_weight must be numbers not below zero, got -1.0 in row 0" in sentence
    refused = cli(
        "fit", counted, "-o", tmp_path / "m", "--model", "deep-mixture", "--weight-column", "w"
    )
    assert refused.exit_code == 2
    assert "has no --weight-column" in refused.output
