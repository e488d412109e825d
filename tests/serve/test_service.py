"""The service says what the model says, and refuses what it cannot take in the library's words."""

import io
import json
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from anabranch import DeepClustering, FlowDensity, GaussianMixture, save

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

from anabranch.batch import Scorer
from anabranch.serve import Limits, make_app
from anabranch.serve.bodies import ARROW

random = np.random.RandomState(0)
frame = pd.DataFrame({"b": random.randn(60), "a": random.randn(60) * 50})
ROWS = {"columns": {name: frame[name].tolist() for name in frame}}
mixture = GaussianMixture(2, random_state=0).fit(frame)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    save(mixture, path)
    return path


@pytest.fixture(scope="module")
def client(path):
    limits = Limits(rows=100, bytes=20_000)
    return TestClient(make_app(path, limits=limits), base_url="http://127.0.0.1")


def stream(table):
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def test_scores_and_predictions_are_those_of_the_model(client):
    score, predict = (client.post(f"/{what}", json=ROWS) for what in ("score", "predict"))
    assert score.status_code == predict.status_code == 200
    columns = score.json()["columns"] | predict.json()["columns"]
    assert columns["log_prob"] == mixture.score_samples(frame).tolist()
    assert columns["component"] == mixture.predict(frame).tolist()
    assert columns["certainty"] == mixture.predict_proba(frame).max(1).tolist()


def test_rows_without_names_are_in_the_order_of_the_model(client):
    rows = frame.to_numpy().tolist()
    told = client.post("/score", json={"rows": rows}).json()
    assert told == client.post("/score", json=ROWS).json()


def test_arrow_is_answered_by_arrow(client):
    body = stream(pa.Table.from_pandas(frame[["a", "b"]]))
    done = client.post("/predict", content=body, headers={"content-type": ARROW})
    assert done.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(done.content).read_all()
    assert table["component"].to_pylist() == mixture.predict(frame).tolist()
    headers = {"content-type": ARROW, "accept": "application/json"}
    done = client.post("/predict", content=body, headers=headers)
    assert done.json()["columns"]["component"] == table["component"].to_pylist()


def test_rows_with_gaps_are_refused_or_null(client):
    body = {"columns": {"a": [1.0, None], "b": [0.5, 1.0]}}
    done = client.post("/score", json=body)
    assert done.status_code == 422
    assert "a" in done.json()["error"]
    told = client.post("/score?on_bad=null", json=body).json()["columns"]["log_prob"]
    assert told[1] is None
    assert told[0] == mixture.score_samples(pd.DataFrame({"b": [0.5], "a": [1.0]}))[0]


def test_samples_are_those_of_the_seed(client):
    first, again = (client.post("/sample", json={"n": 5, "seed": 3}).json() for _ in range(2))
    assert first == again
    X, components = mixture.sample(5, random_state=3)
    assert first["columns"]["a"] == X[:, 1].tolist()
    assert first["columns"]["component"] == components.tolist()
    other = client.post("/sample", json={"n": 5, "component": 1}).json()
    assert set(other["columns"]["component"]) == {1}


def test_what_it_is_and_takes(client):
    told = client.get("/info").json()
    assert told["names"] == ["b", "a"]
    assert told["components"] == 2
    assert told["limits"] == {"rows": 100, "bytes": 20_000, "waiting": 64}
    assert client.get("/health").json() == {"status": "ok"}
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/health", "/info", "/score", "/predict", "/sample"}
    assert ARROW in paths["/score"]["post"]["requestBody"]["content"]


DEEP = b"[" * 100_000
ARROWS = {"content-type": ARROW}


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"", {}, 400, "no JSON"),
        (b"{", {}, 400, "no JSON"),
        (b"\xff\xfe", {}, 400, "no JSON"),
        (b"[1]", {}, 400, "must be a JSON object, got a list"),
        (b"{}", {}, 400, "got nothing"),
        (b'{"rows": [[NaN, 1]]}', {}, 400, "send null for a missing number"),
        (b'{"rows": [[1]]}', {}, 400, "row 0 must be a list of 2 values, got 1"),
        (b'{"rows": []}', {}, 400, "at least one"),
        (b'{"columns": {"a": [1], "b": [1, 2]}}', {}, 400, "equally long"),
        (b'{"columns": {"a": [[1]], "b": [2]}}', {}, 400, "plain values, got a list"),
        (b'{"columns": {"a": [1]}}', {}, 422, "lacks columns: b"),
        (b'{"columns": {"a": ["x"], "b": [1]}}', {}, 422, "x"),
        (b'{"columns": {"a": [1e999], "b": [1]}}', {}, 422, "a"),
        (b'{"columns": {"a": [], "b": []}}', {}, 400, "no rows"),
        (json.dumps({"rows": [[1, 2]] * 101}).encode(), {}, 413, "at most 100 rows, got 101"),
        (b" " * 20_001, {}, 413, "at most 20000 bytes"),
        (b"x", {"content-type": "text/csv"}, 415, "got 'text/csv'"),
        (b"x", ARROWS, 400, "no Arrow stream"),
        (stream(pa.table({"a": [1.0] * 101, "b": [1.0] * 101})), ARROWS, 413, "100 rows"),
        (stream(pa.table({"a": [1.0]})), ARROWS, 422, "lacks columns: b"),
        (stream(pa.table({"a": [1.0] * 9, "b": [2.0] * 9}))[:-90], ARROWS, 400, "Arrow"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(client, content, headers, status, words):
    done = client.post("/score", content=content, headers=headers)
    assert done.status_code == status, done.text
    assert words in done.json()["error"]
    assert "\n" not in done.json()["error"]


def test_depth_is_no_way_to_bring_it_down(path):
    client = TestClient(make_app(path), base_url="http://127.0.0.1")
    assert client.post("/score", content=DEEP).status_code == 400


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n": 0}, "n must be an integer in 1..100"),
        ({"n": 101}, "n must be an integer in 1..100"),
        ({"n": True}, "n must be"),
        ({"seed": -1}, "seed must be"),
        ({"component": 2}, "component must be in 0..1"),
        ({"context": [1.0]}, "takes no context"),
    ],
)
def test_samples_that_there_are_not(client, asked, words):
    done = client.post("/sample", json=asked)
    assert done.status_code == 422
    assert words in done.json()["error"]
    assert client.post("/sample", json={"many": 1}).status_code == 400


def test_a_model_says_what_it_has_not(tmp_path):
    X = frame.to_numpy()
    save(FlowDensity(flow={"name": "maf", "n_layers": 1}, max_epochs=0).fit(X), tmp_path / "d")
    client = TestClient(make_app(tmp_path / "d"), base_url="http://127.0.0.1")
    done = client.post("/predict", json={"rows": X[:2].tolist()})
    assert done.status_code == 422
    assert "without clusters" in done.json()["error"]
    assert client.post("/score", json={"rows": X[:2].tolist()}).status_code == 200
    deep = DeepClustering(2, method="ae+gmm", latent=1, hidden=(2,), pretrain={"epochs": 1})
    save(deep.fit(X), tmp_path / "c")
    client = TestClient(make_app(tmp_path / "c"), base_url="http://127.0.0.1")
    assert "without a density" in client.post("/score", json={"rows": X[:2].tolist()}).text
    assert client.post("/predict", json={"rows": X[:2].tolist()}).status_code == 200
    assert client.post("/sample", json={}).status_code == 422


def test_only_who_has_the_token_and_knows_the_name_is_answered(path):
    app = make_app(path, token="secret", hosts=("127.0.0.1",))
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/health").status_code == 200
    for header in ({}, {"authorization": "Bearer other"}, {"authorization": "secret"}):
        done = client.post("/score", json=ROWS, headers=header)
        assert done.status_code == 401
        assert "token" in done.json()["error"]
    right = {"authorization": "Bearer secret"}
    assert client.post("/score", json=ROWS, headers=right).status_code == 200
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_who_comes_when_many_wait_is_told_to_come_again(path, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()
    answer = Scorer.__call__

    def slow(self, batch):
        entered.set()
        assert go_on.wait(20)
        return answer(self, batch)

    monkeypatch.setattr(Scorer, "__call__", slow)
    with TestClient(
        make_app(path, limits=Limits(waiting=1)), base_url="http://127.0.0.1"
    ) as client:
        codes = []

        def ask():
            codes.append(client.post("/score", json=ROWS).status_code)

        first = threading.Thread(target=ask)
        first.start()
        assert entered.wait(20)
        second = threading.Thread(target=ask)
        second.start()
        for _ in range(200):
            time.sleep(0.01)
            done = client.get("/health")
            assert done.status_code == 200
            third = client.post("/score", json=ROWS) if second.is_alive() else None
            if third is not None and third.status_code == 503:
                break
        go_on.set()
        first.join(), second.join()
    assert third.status_code == 503
    assert third.headers["retry-after"] == "1"
    assert codes == [200, 200]


def test_a_model_that_is_replaced_serves_from_the_next_request(tmp_path):
    save(mixture, tmp_path / "m")
    client = TestClient(make_app(tmp_path / "m"), base_url="http://127.0.0.1")
    before = client.post("/score", json=ROWS).json()
    save(GaussianMixture(1).fit(frame), tmp_path / "m")
    assert client.post("/score", json=ROWS).json() != before
    (tmp_path / "m").unlink()
    assert client.post("/score", json=ROWS).status_code == 503


@pytest.mark.parametrize("name", ["rows", "bytes", "waiting"])
def test_limits_are_positive(name):
    with pytest.raises(ValueError, match=f"limits.{name} must be a positive integer, got 0"):
        Limits(**{name: 0})


@pytest.mark.slow
def test_a_crowd_is_answered_and_memory_stays():
    """The command: eight clients with 500 rows a request and some nonsense, then SIGTERM."""
    from benchmarks.serve_load import run

    figures = {figure.name: figure for figure in run(requests=1600, clients=8, rows=500)}
    assert figures["wrong answers"].met
    assert figures["growth of memory MB"].met
