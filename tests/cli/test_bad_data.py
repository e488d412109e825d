"""Every bad input ends in one sentence and exit code 1, and leaves nothing behind."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load

from .conftest import TINY, blobs

FILES = {
    "empty csv": ("t.csv", b"", "t.csv is empty"),
    "empty npy": ("t.npy", b"", "t.npy is empty"),
    "only a header": ("t.csv", b"a,b\n", "holds no rows"),
    "text": ("t.csv", b"a,b\n1,2\n3,four\n", "column 'b' holds the text 'four' in row 2"),
    "ragged": ("t.csv", b"a,b\n1,2\n3\n", "row 2 has 1 cells, not 2"),
    "unknown ending": ("t.xls", b"a,b\n1,2\n", "cannot tell the format"),
    "foreign parquet": ("t.parquet", b"a,b\n1,2\n", "not a Parquet file"),
    "foreign npy": ("t.npy", b"a,b\n1,2\n", "not a NumPy .npy file"),
    "binary csv": ("t.csv", bytes(range(256)), "not a text file"),
    "truncated parquet": ("t.parquet", lambda f: (f / "t.parquet").read_bytes()[:-40], "damaged"),
    "truncated npy": ("t.npy", lambda f: (f / "t.npy").read_bytes()[:-40], "damaged"),
    "truncated npz": ("t.npz", lambda f: (f / "t.npz").read_bytes()[:-40], "damaged"),
}
# What each command writes to.
OUTPUTS = {"predict": "o.csv", "score": "o.csv", "report": "o.html"}


@pytest.mark.parametrize("case", FILES)
def test_files_that_cannot_be_read(fail, files, model, tmp_path, case):
    name, content, said = FILES[case]
    path = tmp_path / name
    path.write_bytes(content(files) if callable(content) else content)
    sentence = fail("fit", path, "-o", tmp_path / "m")
    assert said in sentence
    assert str(path) in sentence
    for command, output in OUTPUTS.items():
        (tmp_path / output).write_text("old")
        assert str(path) in fail(command, model, path, "-o", tmp_path / output)
        assert (tmp_path / output).read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {name, *OUTPUTS.values()}


def test_idx_files_that_cannot_be_read(fail, images, tmp_path):
    path = tmp_path / "t-idx3-ubyte.gz"
    path.write_bytes(images[0].read_bytes()[:-30])
    assert "truncated or damaged" in fail("fit", path, "-o", tmp_path / "m")
    sentence = fail("fit", images[0], images[1], images[1], "-o", tmp_path / "m")
    assert "there are 2 label files and 1 image files" in sentence


def test_a_missing_file(fail, model, tmp_path):
    assert fail("fit", tmp_path / "no.csv", "-o", tmp_path / "m") == (
        f"error: there is no file {tmp_path}/no.csv"
    )
    for command, output in OUTPUTS.items():
        assert "there is no file" in fail(
            command, model, tmp_path / "no.csv", "-o", tmp_path / output
        )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([np.nan, np.nan], "column 'b' (2 NaN)"),
        ([np.inf, 1.0], "'b' (1 infinite)"),
        ([np.nan, -np.inf], "'b' (1 NaN, 1 infinite)"),
    ],
)
def test_values_that_are_not_finite(fail, tmp_path, values, said):
    X, _ = blobs()
    X[[3, 5], 1] = values
    path = tmp_path / "t.parquet"
    pd.DataFrame(X, columns=["a", "b"]).to_parquet(path)
    sentence = fail("fit", path, "-o", tmp_path / "m", "-k", 3)
    assert said.removeprefix("column ") in sentence
    assert "1 of 2 columns" in sentence


def test_values_to_score_that_are_not_finite(fail, model, tmp_path):
    (tmp_path / "t.csv").write_text("height,width\n1,2\n,3\n")
    for command, output in OUTPUTS.items():
        sentence = fail(command, model, tmp_path / "t.csv", "-o", tmp_path / output)
        assert "'height' (1 NaN)" in sentence
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv"]


def test_a_constant_column_works_with_a_warning(cli, tmp_path):
    X, _ = blobs()
    np.save(tmp_path / "t.npy", np.column_stack([X, np.full(90, 7.0)]))
    result = cli("fit", tmp_path / "t.npy", "-o", tmp_path / "m", "-k", 3, *TINY)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: 1 of 3 columns are constant ('x2')")
    result = cli("score", tmp_path / "m", tmp_path / "t.npy", "-o", tmp_path / "s.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert np.isfinite(pd.read_csv(tmp_path / "s.csv")).all(axis=None)


def test_duplicated_rows_work(succeed, tmp_path):
    X, _ = blobs(30)
    np.save(tmp_path / "t.npy", np.repeat(X, 4, axis=0))
    succeed("fit", tmp_path / "t.npy", "-o", tmp_path / "m", "-k", 3, *TINY)
    np.save(tmp_path / "two.npy", np.repeat(X[:2], 30, axis=0))
    succeed("fit", tmp_path / "two.npy", "-o", tmp_path / "m", "-k", 3, *TINY)
    assert np.isfinite(load(tmp_path / "m").score_samples(X[:2])).all()


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (blobs()[0][:2], "X has 2 rows, fewer than the 3 components"),
        (blobs()[0][:1], "1 sample"),
        (blobs()[0][:, 0], "holds an array of shape (90,), expected (rows, columns)"),
        (np.zeros((0, 2)), "holds no rows"),
        (np.vstack([blobs()[0], [[1e30, 0]]]), "column 'x0' holds 1e+30"),
        (blobs()[0].astype(complex), "expected real numbers"),
        (np.array([["a", "b"]]), "expected real numbers"),
    ],
    ids=["few rows", "one row", "1-D", "no rows", "1e30", "complex", "text"],
)
def test_arrays_that_cannot_be_fitted(fail, tmp_path, X, said):
    np.save(tmp_path / "t.npy", X)
    assert said in fail("fit", tmp_path / "t.npy", "-o", tmp_path / "m", "-k", 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.npy"]


def test_one_row_can_be_scored(succeed, unnamed, tmp_path):
    np.save(tmp_path / "t.npy", blobs()[0][:1])
    succeed("predict", unnamed, tmp_path / "t.npy", "-o", tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "row,component"


def test_far_values_are_scored(succeed, unnamed, tmp_path):
    np.save(tmp_path / "t.npy", np.array([[1e30, 0.0], [0.0, 0.0]]))
    succeed("score", unnamed, tmp_path / "t.npy", "-o", tmp_path / "s.csv")
    far, near = pd.read_csv(tmp_path / "s.csv")["log_prob"]
    assert far < -1e30 < near


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--flow", "gloom"], "unknown recipe 'gloom'; there are"),
        (["--flow-option", "layers=2"], "recipe 'realnvp' has no keyword 'layers'; it has"),
        (["--flow-option", "n_layers=two"], "n_layers"),
        (["--set", "n_inits=2"], "FlowMixture has no parameter 'n_inits'; it has n_components"),
        (["--set", "covariance_type=round"], "covariance_type must be one of"),
        (["--set", "weights=[0.5, 0.5]"], "weights must be 3 positive numbers"),
        (["--set", 'fit_options={"speed": 1}'], "speed"),
        (["--set", 'fit_options={"checkpoint": "c"}'], "--checkpoint"),
        (["--learning-rate", "-1"], "learning_rate must be"),
        (["--validation-fraction", "1.5"], "validation_fraction must be in (0, 1)"),
        (["--columns", "width,depth"], "has no column 'depth'"),
        (["--columns", "width,kind", "--label-column", "kind"], "which is the label column"),
        (["--levels", "4"], "levels=4 needs integers 0..3"),
        (["--device", "abacus"], "--device abacus cannot be used"),
    ],
)
def test_settings_that_cannot_be(fail, files, tmp_path, args, said):
    common = ["fit", files / "t.csv", "-o", tmp_path / "m", "--max-epochs", 1]
    assert said in fail(*common, "-k", 3, *args)
    assert list(tmp_path.iterdir()) == []
