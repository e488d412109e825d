"""Names of rows pass through."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load

from .conftest import blobs

X, _ = blobs()
NAMES = [f"{n:03d}" for n in range(len(X))]


@pytest.fixture
def named(tmp_path):
    table = pd.DataFrame({"who": NAMES, "a": X[:, 0], "b": X[:, 1]})
    table.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


@pytest.mark.parametrize("kind", [(), ("--kind", "auto")])
def test_names_are_no_data_and_are_written(succeed, named, tmp_path, kind):
    output = ("-o", tmp_path / "m", "-k", 3, "--max-epochs", 0, *kind)
    succeed("fit", named, *output, "--id-column", "who")
    assert load(tmp_path / "m").column_names == ["a", "b"]
    for command, column in (("predict", "component"), ("score", "log_prob")):
        output = ("-o", tmp_path / "p.csv", "--id-column", "who")
        succeed(command, tmp_path / "m", named, named, *output)
        written = pd.read_csv(tmp_path / "p.csv", dtype={"who": str})
        assert list(written.columns[:3]) == ["who", "row", column]
        assert written["who"].tolist() == 2 * NAMES
        assert (written["row"] == np.arange(2 * len(X))).all()


def test_names_that_are_not_there(fail, named, tmp_path):
    sentence = fail("fit", named, "-o", tmp_path / "m", "--id-column", "name")
    assert "--id-column names 'name'; the columns are who, a, b" in sentence
