"""The whole thread, from a file to a report, in every format."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from anabranch import load
from anabranch.data import read_table

from .conftest import TINY, blobs


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.npy", "t.npz"])
def test_from_a_table_to_a_report(succeed, files, tmp_path, name):
    data, model = files / name, tmp_path / "m.safetensors"
    named = name in ("t.csv", "t.parquet")
    label = ["--label-column", "kind"] if named else []
    printed = succeed("fit", data, "-o", model, "-k", 3, *label, "--no-use-labels", *TINY)
    assert not (tmp_path / "m.safetensors.checkpoint").exists()
    shown = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert shown["rows"] == "90"
    assert shown["columns"] == ("2: width, height" if named else "2: x0, x1")
    assert shown["components"] == "3"
    assert len(shown["weights"].split()) == 3
    if name != "t.npy":
        assert shown["labels"] == "90 known, not used"
        assert float(shown["ACC"]) > 0.95

    X, labels = blobs()
    mixture = load(model)
    frame = pd.DataFrame(X, columns=["width", "height"]) if named else X
    printed = succeed("predict", model, data, "-o", tmp_path / "p.csv", *label, "--probabilities")
    found = pd.read_csv(tmp_path / "p.csv")
    assert list(found) == ["row", "component", "p0", "p1", "p2"]
    assert np.array_equal(found["row"], np.arange(90))
    assert np.array_equal(found["component"], mixture.predict(frame))
    assert np.allclose(found[["p0", "p1", "p2"]], mixture.predict_proba(frame), atol=1e-9)
    if name != "t.npy":
        assert f"ARI     {adjusted_rand_score(labels, found['component']):.4f}" in printed
        assert "class" in printed

    printed = succeed("score", model, data, "-o", tmp_path / "s.parquet", *label)
    scored = pd.read_parquet(tmp_path / "s.parquet")
    assert np.array_equal(scored["log_prob"], mixture.score_samples(frame))
    assert f"mean  {scored['log_prob'].mean():.4f} nats per row" in printed
    assert "bits" not in printed

    succeed("sample", model, "-n", 7, "-o", tmp_path / "new.csv", "--with-component")
    drawn = pd.read_csv(tmp_path / "new.csv")
    assert list(drawn) == (["width", "height"] if named else ["x0", "x1"]) + ["component"]
    assert len(drawn) == 7
    succeed(
        "predict",
        model,
        tmp_path / "new.csv",
        "-o",
        tmp_path / "q.csv",
        "--label-column",
        "component",
    )

    page = tmp_path / "report.html"
    succeed("report", model, data, "-o", page, *label, "--title", "My <flows>")
    html = page.read_text()
    assert "My &lt;flows&gt;" in html
    assert ("accuracy (ACC)" in html) == (name != "t.npy")

    facts = json.loads(succeed("info", model, "--json"))
    assert facts["columns"] == 2
    assert facts["names"] == (["width", "height"] if named else None)
    assert facts["weights"] == mixture.weights_.tolist()
    assert facts["recipe"] == "flow_mixture"
    assert facts["settings"]["fit_options"] is None
    assert "written_by      anabranch" in succeed("info", model)


def test_from_images_to_a_report(succeed, images, tmp_path):
    model = tmp_path / "m.safetensors"
    printed = succeed("fit", *images, "-o", model, *TINY, "--batch-size", 32)
    assert "4 is component 0, 5 is component 1, 9 is component 2" in printed
    assert "9: x0, x1" in printed
    assert "images 3 x 3" in printed
    assert "bits per dimension (256 levels)" in printed
    printed = succeed("predict", model, *images, "-o", tmp_path / "p.csv")
    assert "labels  90 known" in printed
    assert "ACC     1.0000" in printed
    printed = succeed("score", model, *images, "-o", tmp_path / "s.csv")
    mean = pd.read_csv(tmp_path / "s.csv")["log_prob"].mean()
    assert f"bits  {-mean / 9 / np.log(2):.4f} per dimension" in printed
    succeed("sample", model, "-n", 20, "-o", tmp_path / "new.parquet", "--component", 1)
    drawn = read_table(tmp_path / "new.parquet").X
    assert drawn.shape == (20, 9)
    assert ((drawn >= 0) & (drawn <= 255) & (drawn == np.floor(drawn))).all()
    succeed("report", model, *images, "-o", tmp_path / "r.html")
    assert "Sample images" in (tmp_path / "r.html").read_text()


def test_levels_none_takes_images_as_real_numbers(succeed, images, tmp_path):
    printed = succeed("fit", images[0], "-o", tmp_path / "m", "-k", 3, "--levels", "none", *TINY)
    assert "bits per dimension" not in printed
    assert load(tmp_path / "m").levels is None


def test_the_same_seed_gives_the_same_bits(succeed, files, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        succeed("fit", files / "t.npy", "-o", tmp_path / name, "-k", 3, "--seed", seed, *TINY)
    X, _ = blobs()
    a, b, c = (load(tmp_path / name).score_samples(X) for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_samples_follow_their_seed_and_component(succeed, model, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        succeed("sample", model, "-n", 50, "--seed", seed, "-o", tmp_path / f"{name}.csv")
    a, b, c = ((tmp_path / f"{name}.csv").read_text() for name in "abc")
    assert a == b
    assert a != c
    succeed("sample", model, "-n", 50, "--component", 2, "-o", tmp_path / "two.parquet")
    drawn = pd.read_parquet(tmp_path / "two.parquet")
    assert (load(model).predict(drawn) == 2).mean() > 0.9


def test_settings_reach_the_estimator(succeed, files, tmp_path):
    printed = succeed(
        "fit",
        files / "t.csv",
        "-o",
        tmp_path / "m",
        "--columns",
        "height,width",
        "-k",
        3,
        "--flow",
        "maf",
        "--flow-option",
        "hidden=[8]",
        "--flow-option",
        "activation=relu",
        "--inference",
        "variational",
        "--max-epochs",
        1,
        "--batch-size",
        30,
        "--learning-rate",
        0.01,
        "--validation-fraction",
        0.2,
        "--n-init",
        2,
        "--seed",
        5,
        "--verbose",
        "--set",
        "model_options.weights=uniform",
        "--set",
        'model_options.posterior={"name": "mlp", "hidden": [4, 4]}',
        "--set",
        'fit_options={"clip_norm": 1.0}',
    )
    params = load(tmp_path / "m").get_params()
    assert {
        "n_components": 3,
        "flow": {"name": "maf", "hidden": [8], "activation": "relu"},
        "inference": "variational",
        "max_epochs": 1,
        "batch_size": 30,
        "learning_rate": 0.01,
        "n_init": 2,
        "random_state": 5,
        "model_options": {
            "weights": "uniform",
            "posterior": {"name": "mlp", "hidden": [4, 4]},
        },
        "fit_options": {"clip_norm": 1.0, "validation_fraction": 0.2},
    }.items() <= params.items()
    assert list(load(tmp_path / "m").feature_names_in_) == ["height", "width"]
    assert "held out    bound, " in printed
    assert '"weights": "uniform"' in printed
    network, exact = tmp_path / "network.csv", tmp_path / "exact.csv"
    for method, path in (("network", network), ("exact", exact)):
        succeed(
            "predict",
            tmp_path / "m",
            files / "t.csv",
            "-o",
            path,
            "--probabilities",
            "--method",
            method,
        )
    assert network.read_text() != exact.read_text()


def test_quiet_prints_nothing(cli, files, tmp_path):
    result = cli("fit", files / "t.npy", "-o", tmp_path / "m", "-k", 3, "--quiet", *TINY)
    assert (result.exit_code, result.output) == (0, "")


def test_several_files_are_one_table(succeed, files, model, tmp_path):
    succeed("score", model, files / "t.csv", files / "t.parquet", "-o", tmp_path / "s.csv")
    scored = pd.read_csv(tmp_path / "s.csv")
    assert np.array_equal(scored["row"], np.arange(180))
    assert np.allclose(scored["log_prob"][:90], scored["log_prob"][90:])


def test_parts_are_joined_in_order(succeed, files, model, tmp_path, monkeypatch):
    succeed("predict", model, files / "t.csv", "-o", tmp_path / "whole.csv", "--probabilities")
    monkeypatch.setattr("anabranch.cli.rows.BATCH_VALUES", 0)
    monkeypatch.setattr("anabranch.cli.rows.MIN_ROWS", 7)
    succeed("predict", model, files / "t.csv", "-o", tmp_path / "parts.csv", "--probabilities")
    whole, parts = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("whole", "parts"))
    assert np.array_equal(whole["row"], parts["row"])
    assert np.allclose(whole, parts)
