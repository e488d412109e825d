"""`fit --model density`, and what the other commands do with such a model."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load

QUICK = ("--max-epochs", "2", "--flow", "maf", "--flow-option", "n_layers=2")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A positive column, an angle, and what both depend on."""
    random = np.random.RandomState(0)
    kind = random.randint(2, size=120)
    frame = pd.DataFrame(
        {
            "size": np.exp(0.5 * random.randn(120) + kind),
            "kind": kind,
            "turn": np.remainder(random.vonmises(3.0 * kind, 3), 2 * np.pi),
            "note": random.rand(120),
        }
    )
    path = tmp_path_factory.mktemp("density") / "t.csv"
    frame.to_csv(path, index=False)
    return path, frame


@pytest.fixture(scope="module")
def given(table, succeed):
    """A model of two columns given a third."""
    path = table[0].with_name("given.safetensors")
    support = ("--support", "size=positive", "--support", "turn=angle")
    said = succeed(
        *("fit", table[0], "--model", "density", "--columns", "size,turn"),
        *(*support, "--context", "kind", *QUICK, "-o", path),
    )
    lines = dict(line.split(None, 1) for line in said.splitlines())
    assert lines["columns"] == "2: size, turn"
    assert lines["context"] == "kind"
    assert "components" not in lines
    return path


def test_scores_are_those_of_python(given, table, succeed, tmp_path):
    path, frame = table
    succeed("score", given, path, "-o", tmp_path / "s.csv")
    density = load(given)
    expected = density.score_samples(frame[["size", "turn"]], frame[["kind"]])
    assert np.allclose(pd.read_csv(tmp_path / "s.csv")["log_prob"], expected)
    assert density.support == {"size": "positive", "turn": "angle"}


def test_a_file_without_the_context_is_refused(given, table, fail, tmp_path):
    table[1][["size", "turn"]].to_csv(tmp_path / "t.csv", index=False)
    assert fail("score", given, tmp_path / "t.csv", "-o", tmp_path / "s.csv").endswith("'kind'")


def test_samples_are_given_the_context(given, succeed, fail, tmp_path):
    for kind in (0, 1):
        succeed("sample", given, "-n", 400, "--context", f"kind={kind}", "-o", tmp_path / "x.csv")
        drawn = pd.read_csv(tmp_path / "x.csv")
        assert list(drawn.columns) == ["size", "turn"]
        assert abs(np.log(drawn["size"]).mean() - kind) < 0.3
    output = ("-o", tmp_path / "y.csv")
    assert "a number for each of kind, got none" in fail("sample", given, *output)
    assert "got size" in fail("sample", given, "--context", "size=1", *output)
    assert "must be a number, got 'b'" in fail("sample", given, "--context", "kind=b", *output)
    assert "without clusters" in fail("sample", given, "--component", 0, *output)
    assert not (tmp_path / "y.csv").exists()


def test_other_commands(given, table, succeed, fail, tmp_path):
    assert "without clusters" in fail("predict", given, table[0], "-o", tmp_path / "p.csv")
    said = succeed("info", given)
    assert "FlowDensity" in said
    assert "context_names   kind" in said
    succeed("report", given, table[0], "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    for text in ("Data and samples", "columns of context", "The density is conditional"):
        assert text in page
    body = page[page.index("<body>") :].lower()
    assert "component" not in body
    assert "cluster" not in body
    assert "one density" in fail(
        "report", given, table[0], "--animation", tmp_path / "a.gif", "-o", tmp_path / "q.html"
    )


@pytest.mark.parametrize("columns", ["size", "size,turn", "size,turn,note"])
def test_reports_of_one_two_and_more_columns(columns, table, succeed, tmp_path):
    model, page = tmp_path / "m.safetensors", tmp_path / "r.html"
    succeed(
        *("fit", table[0], "--model", "density", "--columns", columns),
        *("--support", "size=positive", *QUICK, "-o", model),
    )
    succeed("report", model, table[0], "-o", page)
    text = page.read_text()
    assert ("per unit of size" in text) == (columns == "size")
    assert ("Log-density of the model" in text) == (columns == "size,turn")
    assert "component" not in text[text.index("<body>") :].replace("principal components", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "density", "-k", "3"), "a density has no --components"),
        (("--model", "density", "--inference", "exact"), "a density has no --inference"),
        (("--model", "density", "--snapshots", "3"), "a density has no --snapshots"),
        (("--support", "size=unit", "--context", "kind"), "a mixture has no --support, --context"),
    ],
)
def test_options_of_the_other_kind_are_refused(options, message, cli, table, tmp_path):
    result = cli("fit", table[0], *options, "-o", tmp_path / "m")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--support", "size=positiv"), "the support of column 'size' must be"),
        (("--support", "sise=unit"), "support names column 'sise'"),
        (("--support", "note=[0.5,null]"), "column 'note' must lie above 0.5"),
        (("--context", "kin"), "--context names 'kin'; the columns are size, kind, turn, note"),
        (("--context", "size,kind,turn,note"), "--context names all columns"),
        (("--set", "n_components=2"), "FlowDensity has no parameter 'n_components'"),
        (("--flow-option", "x=1"), 'flow {"name": "maf", '),
    ],
)
def test_what_does_not_fit_the_table(options, message, fail, table, tmp_path):
    assert message in fail(
        "fit", table[0], "--model", "density", *QUICK, *options, "-o", tmp_path / "m"
    )
