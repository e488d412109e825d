"""Columns are told by name where both sides have names, else by place."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load

from .conftest import blobs


def scores(succeed, model, data, *args):
    path = data.with_suffix(".scores.csv")
    succeed("score", model, data, "-o", path, *args)
    return pd.read_csv(path)["log_prob"].to_numpy()


@pytest.fixture
def expected(model):
    X, _ = blobs()
    return load(model).score_samples(pd.DataFrame(X, columns=["width", "height"]))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_order_of_named_columns_does_not_matter(
    cli, succeed, model, expected, tmp_path, ending
):
    X, _ = blobs()
    frame = pd.DataFrame({"height": X[:, 1], "note": ["text"] * 90, "width": X[:, 0]})
    path = tmp_path / f"t.{ending}"
    (frame.to_csv if ending == "csv" else frame.to_parquet)(path, index=False)
    assert np.allclose(scores(succeed, model, path), expected)
    result = cli("score", model, path, "-o", tmp_path / "s.csv")
    assert result.stderr == "note: columns that the model does not use are ignored: 'note'\n"


def test_a_file_without_names_is_taken_by_place(succeed, model, expected, tmp_path):
    X, _ = blobs()
    np.save(tmp_path / "t.npy", X)
    assert np.allclose(scores(succeed, model, tmp_path / "t.npy"), expected)
    np.savetxt(tmp_path / "t.csv", X, delimiter=",")
    assert np.allclose(scores(succeed, model, tmp_path / "t.csv", "--no-header"), expected)


def test_a_model_without_names_takes_columns_by_place(succeed, unnamed, tmp_path):
    X, labels = blobs()
    expected = load(unnamed).score_samples(X)
    frame = pd.DataFrame({"b": X[:, 0], "kind": labels, "a": X[:, 1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = scores(succeed, unnamed, tmp_path / "t.csv", "--label-column", "kind")
    assert np.allclose(found, expected)
    pd.DataFrame({"x1": X[:, 1], "x0": X[:, 0]}).to_csv(tmp_path / "turned.csv", index=False)
    assert np.allclose(scores(succeed, unnamed, tmp_path / "turned.csv"), expected)


def test_missing_columns_are_named(fail, model, tmp_path):
    (tmp_path / "t.csv").write_text("width,depth,length\n1,2,3\n")
    assert fail("score", model, tmp_path / "t.csv", "-o", tmp_path / "s.csv") == (
        f"error: {tmp_path}/t.csv lacks 1 of the 2 columns that the model was fitted to: 'height'"
    )


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("command", ["predict", "score", "report"])
def test_another_number_of_columns(fail, model, unnamed, tmp_path, command, n_columns):
    np.save(tmp_path / "t.npy", np.zeros((5, n_columns)))
    for path in (model, unnamed):
        output = tmp_path / ("o.html" if command == "report" else "o.csv")
        sentence = fail(command, path, tmp_path / "t.npy", "-o", output)
        assert f"t.npy has {n_columns} columns; the model was fitted to 2" in sentence
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.npy"]


def test_a_chosen_pixel_is_found_by_its_place(succeed, images, tmp_path):
    succeed(
        "fit", images[0], "-o", tmp_path / "m", "--columns", "x8,x2", "-k", 2, "--max-epochs", 0
    )
    assert list(load(tmp_path / "m").feature_names_in_) == ["x8", "x2"]
    succeed("score", tmp_path / "m", images[0], "-o", tmp_path / "s.csv")


def test_a_header_of_numbers_is_explained_in_words_of_the_command_line(fail, tmp_path):
    np.savetxt(tmp_path / "t.csv", blobs()[0], delimiter=",")
    sentence = fail("fit", tmp_path / "t.csv", "-o", tmp_path / "m")
    assert "--no-header" in sentence
    assert "header=" not in sentence
