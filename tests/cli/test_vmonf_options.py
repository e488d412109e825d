"""The options of the variational mixture on the command line, and models of other estimators."""

import json

import numpy as np
import pandas as pd
import pytest

from anabranch import RAD, FlowGMM, GaussianMixture, load, save
from tests.cli.conftest import TINY, blobs


@pytest.fixture
def table(tmp_path):
    X, labels = blobs(600)
    frame = pd.DataFrame({"x": X[:, 0], "y": X[:, 1], "kind": labels})
    frame.to_csv(tmp_path / "blobs.csv", index=False)
    return tmp_path / "blobs.csv"


def test_auto_finds_how_many(table, tmp_path, succeed):
    model = tmp_path / "model.safetensors"
    out = succeed(
        "fit",
        table,
        "--columns",
        "x,y",
        "-k",
        "auto",
        "--set",
        "max_components=5",
        "-o",
        model,
        "--max-epochs",
        "20",
        "--flow-option",
        "n_layers=2",
    )
    assert load(model).n_components_ == 3
    assert [line.split()[1] for line in out.splitlines() if line.startswith("components")] == ["3"]


def test_auto_with_labels_says_what_to_do(table, tmp_path, succeed, fail):
    options = ["fit", table, "--label-column", "kind", "-k", "auto", "-o", tmp_path / "m", *TINY]
    assert "--no-use-labels" in fail(*options)
    assert "ACC" in succeed(*options, "--no-use-labels", "--set", "max_components=4")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--consistency", "0.5"], {"weight": 0.5}),
        (
            ["--consistency", "2", "--perturbation", "adversarial"],
            {"weight": 2.0, "perturbation": "adversarial"},
        ),
        (
            ["--consistency", "1", "--perturbation", '{"name": "noise", "scale": 0.3}'],
            {"weight": 1.0, "perturbation": {"name": "noise", "scale": 0.3}},
        ),
    ],
    ids=["plain", "name", "object"],
)
def test_consistency_reaches_the_model(table, tmp_path, succeed, options, expected):
    model = tmp_path / "model.safetensors"
    succeed("fit", table, "--columns", "x,y", "-k", "3", *options, "-o", model, *TINY)
    assert load(model).consistency == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--perturbation", "magic", "--consistency", "1"], "magic"),
        (["--inference", "invariant", "--perturbation", "affine"], "image_shape"),
        (["--components", "auto", "--set", "component_cost=0.2"], "component_cost"),
    ],
)
def test_wrong_options_are_told(table, tmp_path, fail, options, message):
    assert message in fail("fit", table, "--columns", "x,y", *options, "-o", tmp_path / "m", *TINY)


def test_images_know_their_shape(tmp_path, succeed, images):
    model = tmp_path / "model.safetensors"
    posterior = '{"name": "mlp", "hidden": [16]}'
    settings = ["--set", f"model_options.posterior={posterior}", "--set", "consistency.steps=20"]
    succeed("fit", images[0], "-k", "2", "--inference", "invariant", *settings, "-o", model, *TINY)
    perturbation = load(model).consistency["perturbation"]
    assert perturbation["name"] == "affine"
    assert perturbation["image_shape"] == [3, 3]


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(3, random_state=0),
        FlowGMM(3, flow={"name": "realnvp", "n_layers": 2}, max_epochs=1, random_state=0),
        RAD(n_folds=1, n_between=1, hidden=(8,), max_epochs=1, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_models_of_other_estimators_serve_the_commands(estimator, table, tmp_path, succeed):
    X, _ = blobs(600)
    save(estimator.fit(X), tmp_path / "model.safetensors")
    model, output = tmp_path / "model.safetensors", tmp_path / "out.csv"
    data = tmp_path / "plain.csv"
    pd.DataFrame(X, columns=["x", "y"]).to_csv(data, index=False)
    succeed("predict", model, data, "--output", output)
    assert (pd.read_csv(output)["component"] == estimator.predict(X)).all()
    succeed("score", model, data, "--output", output)
    scores = pd.read_csv(output).iloc[:, -1]
    assert np.allclose(scores, estimator.score_samples(X), atol=1e-5)
    succeed("sample", model, "-n", "20", "--output", output)
    assert len(pd.read_csv(output)) == 20
    succeed("report", model, data, "--output", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000
    facts = json.loads(succeed("info", model, "--json"))
    assert facts["estimator"] == type(estimator).__name__
    assert facts["components"] == estimator.n_components_


def test_without_a_network_there_is_no_network_method(table, tmp_path, fail):
    X, _ = blobs(600)
    model, data = tmp_path / "model.safetensors", tmp_path / "plain.csv"
    save(GaussianMixture(3, random_state=0).fit(X), model)
    pd.DataFrame(X, columns=["x", "y"]).to_csv(data, index=False)
    message = fail("predict", model, data, "--method", "network", "--output", tmp_path / "p.csv")
    assert "GaussianMixture has no posterior network" in message
