"""`--given`: what a density is conditional on, from a file of its own."""

import numpy as np
import pandas as pd
import pytest

from anabranch import NeuralPosterior, load


@pytest.fixture(scope="module")
def posterior(tmp_path_factory, succeed):
    """A posterior of a and b given u and v; its table and its file."""
    random = np.random.RandomState(0)
    theta = random.randn(150, 2)
    x = theta @ [[1.0, 0.5], [0.0, 1.0]] + 0.3 * random.randn(150, 2)
    frame = pd.DataFrame(np.hstack([theta, x]), columns=["a", "b", "u", "v"])
    folder = tmp_path_factory.mktemp("given")
    frame.to_csv(folder / "t.csv", index=False)
    succeed(
        *("fit", folder / "t.csv", "--model", "posterior", "--context-columns", "u,v"),
        *("--flow", "realnvp", "--max-epochs", "1", "-o", folder / "p.safetensors"),
    )
    return folder / "p.safetensors", frame


def test_draws_for_each_row_of_a_file(posterior, succeed, tmp_path):
    path, frame = posterior
    model = load(path)
    assert isinstance(model, NeuralPosterior)
    given = frame[["v", "u"]].head(3)  # by name
    given.to_csv(tmp_path / "g.csv", index=False)
    np.save(tmp_path / "g.npy", given[["u", "v"]].to_numpy())  # by place
    for name in ("g.csv", "g.npy"):
        succeed(*("sample", path, "-n", 400, "--given", tmp_path / name, "-o", tmp_path / "d.csv"))
        drawn = pd.read_csv(tmp_path / "d.csv")
        assert list(drawn.columns) == ["given", "a", "b"]
        assert drawn["given"].tolist() == np.repeat([0, 1, 2], 400).tolist()
        means = drawn.groupby("given").mean().to_numpy()
        expected = model.sample(400, frame[["u", "v"]].head(3)).mean(0)
        assert means == pytest.approx(expected, abs=0.1)


def test_scores_given_a_file(posterior, succeed, fail, tmp_path):
    path, frame = posterior
    model = load(path)
    frame[["a", "b"]].to_csv(tmp_path / "t.csv", index=False)
    frame[["u", "v"]].to_csv(tmp_path / "g.csv", index=False)
    frame[["u", "v"]].head(1).to_csv(tmp_path / "one.csv", index=False)
    command = ("score", path, tmp_path / "t.csv", "-o", tmp_path / "s.csv", "--given")
    succeed(*command, tmp_path / "g.csv")
    own = model.log_prob(frame[["a", "b"]], frame[["u", "v"]])
    assert np.allclose(pd.read_csv(tmp_path / "s.csv")["log_prob"], own)
    succeed(*command, tmp_path / "one.csv")
    alone = model.log_prob(frame[["a", "b"]], frame[["u", "v"]].head(1))
    assert np.allclose(pd.read_csv(tmp_path / "s.csv")["log_prob"], alone)


def test_files_that_do_not_fit_are_named(posterior, succeed, fail, tmp_path):
    path, frame = posterior
    output = ("-o", tmp_path / "o.csv")
    frame[["u"]].to_csv(tmp_path / "u.csv", index=False)
    np.save(tmp_path / "wide.npy", np.zeros((2, 3)))
    frame[["a", "b"]].to_csv(tmp_path / "t.csv", index=False)
    frame[["u", "v"]].head(2).to_csv(tmp_path / "two.csv", index=False)
    sample = ("sample", path, *output, "--given")
    assert "lacks columns that the model is given: v" in fail(*sample, tmp_path / "u.csv")
    assert "has 3 columns; the model is given 2, u, v" in fail(*sample, tmp_path / "wide.npy")
    both = fail(*sample, tmp_path / "two.csv", "--context", "u=1")
    assert "one of them is enough" in both
    few = fail("score", path, tmp_path / "t.csv", *output, "--given", tmp_path / "two.csv")
    assert "--given has 2 rows, and the data have more" in few
    assert not (tmp_path / "o.csv").exists()
