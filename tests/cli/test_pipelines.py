"""Commands in pipelines: other formats, standard streams, gaps, JSON, columns of the input."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from anabranch import GaussianMixture, save
from anabranch.data import read_mixed, read_table, write_table

X = np.random.RandomState(0).randn(40, 2) + np.repeat([[0, 0], [9, 9]], 20, axis=0)
FRAME = pd.DataFrame(X, columns=["a", "b"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipe") / "m.safetensors"
    save(GaussianMixture(2, random_state=0).fit(FRAME), path)
    return path


@pytest.mark.parametrize(
    "ending",
    ["csv.bz2", "csv.zst", "csv.gz", "tsv", "tsv.zst", "jsonl", "jsonl.gz", "arrow", "feather"],
)
def test_what_is_written_is_read(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    names = np.array(["x", "y"] * 20, dtype=object)
    write_table(path, {"a": X[:, 0], "b": X[:, 1], "kind": names})
    table = read_table(path, label_column="kind")
    assert pytest.approx(X) == table.X
    assert table.label_names == ["x", "y"]
    assert read_mixed([path]).X["kind"].tolist() == names.tolist()
    with pytest.raises(ValueError, match=r"column 'kind' holds .*'x'"):
        read_table(path)


def test_other_formats_that_are_damaged(tmp_path):
    for ending in ("arrow", "jsonl", "csv.zst", "csv.bz2", "xlsx"):
        path = tmp_path / f"t.{ending}"
        path.write_bytes(b"this is none of it\n")
        with pytest.raises(ValueError, match=r"t\."):
            read_table(path)


def test_a_sheet_is_read(tmp_path):
    pytest.importorskip("openpyxl")
    FRAME.to_excel(tmp_path / "t.xlsx", index=False)
    assert pytest.approx(X) == read_table(tmp_path / "t.xlsx").X


def test_columns_of_the_input_stand_before_the_answers(model, succeed, fail, tmp_path):
    wide = FRAME.assign(who=["é", *["b"] * 39], c=np.nan)
    wide.to_csv(tmp_path / "t.csv", index=False)
    path = tmp_path / "o.parquet"
    succeed("predict", model, tmp_path / "t.csv", "--append", "-o", path)
    found = pd.read_parquet(path)
    assert list(found.columns) == ["a", "b", "who", "c", "row", "component"]
    assert found["who"].tolist() == wide["who"].tolist()
    assert (found["a"] == wide["a"]).all()
    wide.rename(columns={"c": "row"}).to_csv(tmp_path / "u.csv", index=False)
    said = fail("predict", model, tmp_path / "u.csv", "--append", "-o", path)
    assert "has a column 'row', as a column that is written" in said


def test_rows_with_gaps(model, succeed, fail, tmp_path):
    gaps = FRAME.copy()
    gaps.loc[3, "a"] = None
    gaps.to_csv(tmp_path / "t.csv", index=False)
    asked = (model, tmp_path / "t.csv", "-o", tmp_path / "o.csv")
    assert "NaN" in fail("predict", *asked)
    said = json.loads(succeed("predict", *asked, "--on-missing", "skip", "--json"))
    assert said["rows"] == 39
    assert said["rows with gaps"] == 1
    assert 3 not in pd.read_csv(tmp_path / "o.csv")["row"].tolist()
    succeed("predict", *asked, "--on-missing", "mark")
    found = pd.read_csv(tmp_path / "o.csv")
    assert found["row"].tolist() == list(range(40))
    assert found["component"][3] == -1
    succeed("score", *asked, "--on-missing", "mark")
    found = pd.read_csv(tmp_path / "o.csv")["log_prob"]
    assert np.isnan(found[3])
    assert found.notna().sum() == 39


def test_a_mean_of_rows_that_count(model, succeed, fail, tmp_path):
    weights = np.arange(40.0)
    FRAME.assign(w=weights).to_csv(tmp_path / "t.csv", index=False)
    asked = ("score", model, tmp_path / "t.csv", "-o", tmp_path / "o.csv", "--weight-column", "w")
    said = json.loads(succeed(*asked, "--json"))
    scores = pd.read_csv(tmp_path / "o.csv")["log_prob"]
    assert said["mean"] == pytest.approx(np.average(scores, weights=weights))
    FRAME.assign(w=-1).to_csv(tmp_path / "t.csv", index=False)
    assert "not below zero" in fail(*asked)


def test_a_report_is_a_page(model, fail, tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    said = fail("report", model, tmp_path / "t.csv", "-o", tmp_path / "r.pdf")
    assert "a report is a page of HTML" in said


def test_standard_input_and_output(model):
    words = [sys.executable, "-m", "anabranch", "predict", model, "-", "-o", "-"]
    text = FRAME.to_csv(index=False).encode()
    run = subprocess.run(words, input=text, capture_output=True, check=True, timeout=200)
    lines = run.stdout.decode().split()
    assert lines[0] == "row,component"
    assert len(lines) == 41
    assert "rows" in run.stderr.decode()


def test_options_from_a_file_and_to_one(succeed, cli, tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    path, again = tmp_path / "fit.toml", tmp_path / "again.toml"
    path.write_text(
        f'components = 2\noutput = "{tmp_path / "m.safetensors"}"\nmax-epochs = 1\n'
        'set = ["covariance_type=diag"]\n'
    )
    said = succeed(
        "fit", tmp_path / "t.csv", "--config", path, "--seed", "3", "--write-config", again
    )
    assert "diag" in succeed("info", tmp_path / "m.safetensors")
    assert "m.safetensors" in said
    text = again.read_text()
    assert 'components = "2"' in text
    assert "seed = 3" in text
    assert "max-epochs = 1" in text
    succeed("fit", tmp_path / "t.csv", "--config", again, "-o", tmp_path / "n.safetensors")
    assert (tmp_path / "n.safetensors").stat().st_size > 0
    path.write_text("componets = 2\n")
    wrong = cli("fit", tmp_path / "t.csv", "-o", tmp_path / "m", "--config", path)
    assert wrong.exit_code == 2
    assert "there is no option 'componets'" in " ".join(wrong.stderr.split())
