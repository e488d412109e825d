"""Tables with text and gaps, from the file as it is."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anabranch import load
from tests.estimators.test_mixed_tables import table

QUICK = ("--max-epochs", "2", "--flow-option", "n_layers=2", "--set", "init_params=kmeans")
KINDS = ("--kind", "auto", "--kind", "visits=count", "--kind", 'hour=["circle", 24]')


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, succeed):
    frame, labels = table(150, share=0.1)
    path = tmp_path_factory.mktemp("mixed") / "t.csv"
    frame.assign(true=np.where(labels, "b", "a")).to_csv(path, index=False, na_rep="NA")
    known = ("--label-column", "true", "--no-use-labels")
    model = path.with_name("m.safetensors")
    gaps = ("--missing", "marginal")
    said = succeed("fit", path, "-k", "2", *KINDS, *gaps, *known, *QUICK, "-o", model)
    lines = dict(line.split(None, 1) for line in said.splitlines())
    assert float(lines["ARI"]) > 0.8
    return model, path, frame


def test_predictions_and_scores_of_every_row(fitted, succeed, tmp_path):
    model, path, frame = fitted
    succeed("predict", model, path, "--label-column", "true", "-o", tmp_path / "p.csv")
    found = pd.read_csv(tmp_path / "p.csv")
    mixture = load(model)
    assert (found["component"] == mixture.predict(frame)).all()
    assert (found["missing"] == frame.isna().sum(axis=1)).all()
    succeed("score", model, path, "-o", tmp_path / "s.parquet")
    scores = pd.read_parquet(tmp_path / "s.parquet")["log_prob"]
    assert scores.to_numpy() == pytest.approx(mixture.score_samples(frame), abs=1e-4)


def test_odd_rows_are_marked(fitted, succeed, fail, tmp_path):
    model, _, frame = fitted
    odd = pd.concat([frame.iloc[:4], frame.iloc[:1].assign(length=500.0)])
    odd.to_csv(tmp_path / "odd.csv", index=False)
    out = ("-o", tmp_path / "p.csv")
    succeed("predict", model, tmp_path / "odd.csv", "--outliers", "0.01", *out)
    found = pd.read_csv(tmp_path / "p.csv")
    assert found["component"].iloc[-1] == -1
    assert found["tail"].iloc[-1] < 0.01
    assert "must be a share" in fail(
        "predict", model, tmp_path / "odd.csv", "--outliers", "2", *out
    )


def test_a_report_names_rows(fitted, succeed, tmp_path):
    model, _, frame = fitted
    frame = frame.assign(who=[f"no{i}" for i in range(len(frame))])
    frame.to_csv(tmp_path / "named.csv", index=False)
    page = tmp_path / "r.html"
    succeed("report", model, tmp_path / "named.csv", "--id-column", "who", "-o", page)
    assert '"who no7, component' in page.read_text()


@pytest.mark.slow
def test_penguins_from_the_file_as_it_is(succeed, tmp_path):
    """Text, gaps written NA, and columns that are no measures: one command finds the species."""
    package = find_spec("palmerpenguins")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "data/penguins.csv"
    said = succeed(
        *("fit", path, "-k", "3", "--kind", "auto", "--missing", "marginal"),
        *("--label-column", "species", "--no-use-labels", "-o", tmp_path / "p.safetensors"),
    )
    lines = dict(line.split(None, 1) for line in said.splitlines())
    assert lines["rows"] == "344"
    assert float(lines["ARI"]) >= 0.98


def test_samples_hold_what_the_file_held(fitted, succeed, tmp_path):
    model, _, frame = fitted
    succeed("sample", model, "-n", "40", "--with-component", "-o", tmp_path / "n.csv")
    drawn = pd.read_csv(tmp_path / "n.csv")
    assert list(drawn.columns) == [*frame.columns, "component"]
    assert set(drawn["city"]) <= {"a", "b", "c"}
    assert drawn["visits"].dtype.kind == "i"


def test_gaps_and_kinds_are_refused_in_one_sentence(fitted, fail, tmp_path):
    _, path, _ = fitted
    out = ("-o", tmp_path / "m.safetensors")
    assert "missing='marginal' sums" in fail("fit", path, *KINDS, "-k", "2", *out)
    wrong = fail("fit", path, "--kind", "hour=tall", "-k", "2", *out)
    assert "the kind of column 'hour' must be" in wrong
    assert not (tmp_path / "m.safetensors").exists()


def test_angles_and_places_from_a_file(succeed, fail, tmp_path):
    random = np.random.RandomState(0)
    kind = np.arange(80) % 2
    rows = {"heading": (180 * kind + 20 * random.randn(80)) % 360, "lat": 85.0 - 60 * kind}
    frame = pd.DataFrame({**rows, "lon": random.uniform(-180, 180, 80)})
    path, model = tmp_path / "t.csv", tmp_path / "m.safetensors"
    frame.to_csv(path, index=False)
    kinds = ("--kind", 'heading=["circle", 360]', "--kind", 'place=["latlon", "lat", "lon"]')
    succeed("fit", path, "-k", "2", *kinds, "--max-epochs", "1", "-o", model)
    succeed("sample", model, "-n", "50", "-o", tmp_path / "x.csv")
    drawn = pd.read_csv(tmp_path / "x.csv")
    assert drawn["heading"].between(0, 360).all()
    assert drawn["lat"].between(-90, 90).all()
    assert "latitude" in succeed("info", model)
    frame.assign(lat=200.0).to_csv(path, index=False)
    said = fail("fit", path, "-k", "2", *kinds, "-o", model)
    assert "column 'lat' is a latitude: 80 of 80" in said
