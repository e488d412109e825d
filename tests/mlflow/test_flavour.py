"""Models in MLflow: the same answers, no pickle, and metrics of all stages."""

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowMixture, GaussianMixture
from anabranch.training import callbacks

mlflow = pytest.importorskip("mlflow")
FLOW = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield mlflow
    mlflow.set_tracking_uri(None)


@pytest.fixture
def model():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"a": random.randn(60), "b": np.repeat([0.0, 9.0], 30) + random.randn(60)})
    return GaussianMixture(2, random_state=0).fit(frame), frame


def test_a_logged_model_answers_as_before(tracked, model, tmp_path):
    import anabranch.mlflow

    mixture, frame = model
    with tracked.start_run():
        info = anabranch.mlflow.log_model(mixture, "clusters", input_example=frame.head(3))
    function = tracked.pyfunc.load_model(info.model_uri)
    assert set(function.metadata.signature.outputs.input_names()) == {
        "component",
        "certainty",
        "log_prob",
    }
    told = function.predict(frame[["b", "a"]])  # by their names
    assert told["component"].tolist() == mixture.predict(frame).tolist()
    assert np.allclose(told["log_prob"], mixture.score_samples(frame))
    again = anabranch.mlflow.load_model(info.model_uri)
    assert (again.score_samples(frame) == mixture.score_samples(frame)).all()


def test_no_file_is_a_pickle(model, tmp_path):
    from anabranch.mlflow import save_model

    save_model(model[0], tmp_path / "m")
    for file in (tmp_path / "m").iterdir():
        content = file.read_bytes()
        assert not content.startswith(b"\x80"), file
        assert b"pickle" not in content, file
    with pytest.raises(ValueError, match="path must be a new folder"):
        save_model(model[0], tmp_path / "m")


def test_models_of_others_are_refused(tracked, tmp_path):
    from anabranch.mlflow import load_model

    other = tracked.models.Model()
    other.add_flavor("other", data="x")
    (tmp_path / "m").mkdir()
    other.save(str(tmp_path / "m" / "MLmodel"))
    with pytest.raises(ValueError, match="is of other, not of anabranch"):
        load_model(str(tmp_path / "m"))


def test_the_function_takes_arrays_and_rows_with_gaps(model, tmp_path):
    from anabranch.mlflow import _load_pyfunc, save_model

    mixture, frame = model
    save_model(mixture, tmp_path / "m")
    function = _load_pyfunc(tmp_path / "m" / "model.safetensors")
    told = function.predict(frame.to_numpy())
    assert np.allclose(told["log_prob"], mixture.score_samples(frame))
    bad = frame.head(2).copy()
    bad.loc[0, "a"] = np.nan
    assert function.predict(bad, {"on_bad": "null"})["log_prob"].isna().tolist() == [True, False]
    with pytest.raises(ValueError, match="'a'"):
        function.predict(bad)


def test_the_metrics_of_stages_are_tracked(tracked, model):
    from anabranch.mlflow import MLflowTracker

    with tracked.start_run() as run, callbacks(MLflowTracker()):
        mixture = FlowMixture(2, flow=FLOW, max_epochs=2, random_state=0).fit(model[1])
    data = tracked.get_run(run.info.run_id).data
    stage = mixture.fit_result_.stages[-1].replace(" ", "_")
    assert data.params["train/max_epochs"] == "2"
    assert data.metrics["train/best_score"] == pytest.approx(mixture.fit_result_.best_score, abs=1)
    assert data.tags["train/stopped"] == "max_epochs"
    client = tracked.MlflowClient()
    found = client.get_metric_history(run.info.run_id, "train/validation_nll")
    expected = [entry["validation_nll"] for entry in mixture.fit_result_.history]
    assert [each.value for each in found] == pytest.approx(expected)
    assert f"{stage}/epoch" in data.metrics
