"""Programs say what the models say, for batches of any size, or are refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from anabranch import (
    RAD,
    DeepClustering,
    DeepMixture,
    FlowDensity,
    FlowMixture,
    FlowVAE,
    GaussianMixture,
    save,
)
from anabranch.cli import app
from anabranch.export import export_model, writing
from anabranch.models import realnvp
from tests.export.recipes import SLOW, on_page, small_recipes, tried

X = np.random.RandomState(0).randn(120, 2) * [1.0, 30.0] + [0.0, 1e4]
FOLDS = {"n_folds": 1, "n_between": 1, "n_last": 1, "hidden": (4,)}
SMALL = {"flow": {"name": "realnvp", "n_layers": 1, "hidden": [4]}, "max_epochs": 1}
DEEP = {"hidden": (8,), "latent": 2, "max_epochs": 1}
rows = pytest.mark.parametrize("n", [1, 3, 1500])


def onnx_run(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def pt2_run(path, *inputs):
    told = torch.export.load(path).module()(*map(torch.as_tensor, inputs))
    return {name: value.numpy() for name, value in told.items()}


@pytest.fixture(scope="module")
def mixture():
    return FlowMixture(2, flow=None, max_epochs=0, random_state=0).fit(X)


@pytest.fixture(scope="module")
def programs(mixture, tmp_path_factory):
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("programs")
    for ending in ("pt2", "onnx"):
        export_model(mixture, folder / f"m.{ending}")
    return {"pt2": (pt2_run, folder / "m.pt2"), "onnx": (onnx_run, folder / "m.onnx")}


@rows
@pytest.mark.parametrize("ending", ["pt2", "onnx"])
@pytest.mark.slow
def test_a_mixture_says_the_same(mixture, programs, ending, n):
    run, path = programs[ending]
    Y = mixture.sample(n, random_state=1)[0]
    told = run(path, Y)
    assert np.abs(told["log_prob"] - mixture.score_samples(Y)).max() < 1e-4
    assert np.abs(told["posterior"] - mixture.predict_proba(Y)).max() < 1e-4
    assert np.abs(np.logaddexp.reduce(told["log_joint"], 1) - told["log_prob"]).max() < 1e-9


def test_a_program_says_who_wrote_it(programs):
    extra = {"anabranch.json": ""}
    torch.export.load(programs["pt2"][1], extra_files=extra)
    assert json.loads(extra["anabranch.json"])["inputs"] == ["x"]


def test_what_depends_on_a_context_takes_it(tmp_path):
    context = np.random.RandomState(1).randn(len(X), 1) * 5 + 40
    density = FlowDensity(SMALL["flow"], max_epochs=1, random_state=0).fit(X, context=context)
    export_model(density, tmp_path / "m.pt2")
    told = pt2_run(tmp_path / "m.pt2", X, context)
    assert np.abs(told["log_prob"] - density.score_samples(X, context)).max() < 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianMixture(2, covariance_type="diag", random_state=0),
        pytest.param(
            lambda: RAD(**FOLDS, max_epochs=0, random_state=0), marks=pytest.mark.slow, id="rad"
        ),
        lambda: DeepMixture(2, **DEEP, random_state=0),
        lambda: DeepClustering(
            2,
            method="dec",
            latent=2,
            hidden=(8,),
            pretrain={"epochs": 1},
            max_epochs=1,
            random_state=0,
        ),
    ],
    ids=["gaussians", None, "deep-mixture", "deep-clustering"],
)
def test_other_estimators_have_programs(make, tmp_path):
    model = make().fit(X)
    done = export_model(model, tmp_path / "m.pt2")
    told = pt2_run(tmp_path / "m.pt2", X)
    assert set(done.errors) <= set(told)
    assert np.abs(told["posterior"] - model.predict_proba(X)).max() < 1e-4


@pytest.mark.slow
def test_networks_that_see_integers_see_shares(tmp_path):
    Y = np.random.RandomState(2).randint(8, size=(90, 3))
    options = {"levels": 8}
    model = FlowMixture(2, **SMALL, inference="variational", model_options=options, random_state=0)
    export_model(model.fit(Y), tmp_path / "m.pt2")
    told = pt2_run(tmp_path / "m.pt2", Y.astype(float))
    assert np.abs(told["posterior"] - model.predict_proba(Y)).max() < 1e-4


def test_a_shared_trunk_takes_many_rows(tmp_path):
    """Their products of matrices go another way than those of few."""
    flow = realnvp(2, n_layers=1, hidden=[32], seed=0)
    export_model(flow, tmp_path / "m.pt2")
    x = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = flow.log_prob(x).numpy()
    assert np.abs(pt2_run(tmp_path / "m.pt2", x)["log_prob"] - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_program_compiled_ahead_of_time_says_the_same(mixture, tmp_path):
    export_model(mixture, tmp_path / "m.pt2")
    program, package = torch.export.load(tmp_path / "m.pt2"), str(tmp_path / "m.aoti.pt2")
    torch._inductor.aoti_compile_and_package(program, package_path=package)
    score = torch._inductor.aoti_load_package(package)
    for n in (1, 700):
        Y = mixture.sample(n, random_state=1)[0]
        told = score(torch.as_tensor(Y))["log_prob"].numpy()
        assert np.abs(told - mixture.score_samples(Y)).max() < 1e-4


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: FlowVAE(latent=1, max_epochs=0, random_state=0).fit(X), "a FlowVAE cannot be"),
        (
            lambda: GaussianMixture(1, columns="auto").fit(X),
            "a table of mixed columns cannot be exported",
        ),
        (
            lambda: FlowDensity(support={0: "angle"}, max_epochs=0).fit(X[:, :1] % 6),
            "angles or places cannot be exported",
        ),
        (lambda: realnvp(2, batch_shape=[3]), "stack"),
    ],
)
def test_what_is_no_program_is_refused(model, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        export_model(model(), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.pt2 or \.onnx, got 'm.pkl'"):
        export_model(realnvp(2), tmp_path / "m.pkl")


def test_a_program_that_says_something_else_is_not_written(tmp_path, monkeypatch):
    run = writing.FORMATS[".pt2"]

    def other(content, inputs):
        return {name: value + 2e-4 for name, value in run[1](content, inputs).items()}

    monkeypatch.setitem(writing.FORMATS, ".pt2", (run[0], other))
    with pytest.raises(ValueError, match="of its own rows"):
        export_model(GaussianMixture(1).fit(X), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_made(mixture, tmp_path):
    save(mixture, tmp_path / "m.safetensors")
    command = ["export", str(tmp_path / "m.safetensors"), "-o", str(tmp_path / "m.pt2")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "gives posterior" in done.stdout
    assert "(n, 2)" in done.stdout
    assert (tmp_path / "m.pt2").exists()


def test_the_table_is_of_recipes():
    assert len(on_page()) > 40
    assert set(on_page()) <= set(small_recipes())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in small_recipes() if name not in SLOW])
def test_the_table_says_what_can_be_exported(name, tmp_path):
    said = tried(name, tmp_path)
    assert on_page().get(name, said) == said
