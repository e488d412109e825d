"""Jobs over folders: parts, manifests, what is made again, and what was killed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from anabranch import GaussianMixture, save
from anabranch.batch import Scorer, run_job
from anabranch.batch.job import MANIFEST, Done, find_parts
from anabranch.data import write_table

random = np.random.RandomState(0)
NAMES = ("a.csv", "b.parquet", "deep/c.csv")


def rows(seed, n=50):
    random = np.random.RandomState(seed)
    return {"id": np.arange(n) + 100 * seed, "y": random.randn(n), "x": random.randn(n)}


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        write_table(folder / name, rows(seed))
    (folder / "_ignored.csv").write_text("x\n1\n", encoding="utf-8")
    (folder / "readme").write_text("no table", encoding="utf-8")
    return folder


@pytest.fixture
def model(tmp_path):
    mixture = GaussianMixture(2, random_state=0).fit(pd.DataFrame(rows(9))[["x", "y"]])
    save(mixture, tmp_path / "m")
    return mixture


@pytest.fixture
def scorer(model, tmp_path):
    return Scorer(tmp_path / "m", key="id")


def read(folder):
    """All parts as one frame, by key."""
    parts = [pd.read_parquet(path) for path in folder.glob("*.parquet")]
    return pd.concat(parts).sort_values("id", ignore_index=True)


def expected(model):
    whole = pd.concat([pd.DataFrame(rows(seed)) for seed in range(3)], ignore_index=True)
    X = whole[["x", "y"]]
    told = {"component": model.predict(X), "log_prob": model.score_samples(X)}
    return pd.DataFrame({"id": whole["id"], **told})


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_row_is_scored_once(scorer, model, inputs, tmp_path, workers):
    done = run_job(scorer, [inputs], tmp_path / "out", workers=workers)
    assert done == Done(rows=150, parts=3, made=3)
    pd.testing.assert_frame_equal(read(tmp_path / "out"), expected(model), check_dtype=False)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a.csv.parquet", "b.parquet.parquet", "deep__c.csv.parquet", MANIFEST}


def test_patterns_and_addresses_are_files(inputs, tmp_path):
    pattern, address = str(inputs / "a*.csv"), (inputs / "b.parquet").as_uri()
    found = find_parts([pattern, address, inputs / "deep"])
    names = ["a.csv.parquet", "b.parquet.parquet", "c.csv.parquet"]
    assert [part.output for part in found] == names
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*\*\.json"):
        find_parts([inputs / "*.json"])
    with pytest.raises(ValueError, match="what://bucket/a cannot be reached"):
        find_parts(["what://bucket/a"])


def test_what_is_missing_or_changed_is_made_again(scorer, model, inputs, tmp_path):
    out = tmp_path / "out"
    run_job(scorer, [inputs], out)
    assert run_job(scorer, [inputs], out, resume=True).made == 0
    (out / "a.csv.parquet").unlink()
    kept = (out / "b.parquet.parquet").stat().st_mtime_ns
    assert run_job(scorer, [inputs], out, resume=True).made == 1
    assert (out / "b.parquet.parquet").stat().st_mtime_ns == kept
    pd.testing.assert_frame_equal(read(out), expected(model), check_dtype=False)
    write_table(inputs / "a.csv", rows(0, n=20))
    assert run_job(scorer, [inputs], out, resume=True) == Done(rows=120, parts=3, made=1)
    write_table(inputs / "d.csv", rows(3))
    assert run_job(scorer, [inputs], out, resume=True) == Done(rows=170, parts=4, made=1)


def test_jobs_of_others_are_refused(scorer, model, inputs, tmp_path):
    out = tmp_path / "out"
    run_job(scorer, [inputs], out)
    with pytest.raises(ValueError, match="holds a job already"):
        run_job(scorer, [inputs], out)
    other = Scorer(scorer.model, ("log_prob",), key="id")
    with pytest.raises(ValueError, match="a job with other settings"):
        run_job(other, [inputs], out, resume=True)
    save(model.set_params(random_state=1).fit(pd.DataFrame(rows(8))[["x", "y"]]), scorer.model)
    with pytest.raises(ValueError, match="a job of another model"):
        run_job(scorer, [inputs], out, resume=True)
    for text in ("", "{}", "[1]", '{"version": 1, "model": 1, "settings": {}, "done": 3}'):
        (out / MANIFEST).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="is no manifest"):
            run_job(scorer, [inputs], out, resume=True)
    newer = {"version": 2, "model": "", "settings": {}, "done": {}}
    (out / MANIFEST).write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(ValueError, match="of version 2"):
        run_job(scorer, [inputs], out, resume=True)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_bad_file_is_named_and_what_is_done_is_kept(scorer, model, inputs, tmp_path, workers):
    out = tmp_path / "out"
    (inputs / "deep/c.csv").write_text("id,x,y\n200,1,\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.csv: .*'y'"):
        run_job(scorer, [inputs], out, workers=workers)
    assert not (out / "deep__c.csv.parquet").exists()
    write_table(inputs / "deep/c.csv", rows(2))
    assert run_job(scorer, [inputs], out, resume=True).rows == 150
    pd.testing.assert_frame_equal(read(out), expected(model), check_dtype=False)


def test_what_there_is_not_and_what_would_be_one(scorer, inputs, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        run_job(scorer, [tmp_path / "none"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no tables"):
        find_parts([tmp_path / "empty"])
    with pytest.raises(ValueError, match="would both become"):
        find_parts([inputs / "a.csv", inputs])
    (inputs / "e.csv").write_text("id,x\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"e\.csv: it lacks columns: y"):
        run_job(scorer, [inputs], tmp_path / "out")


@pytest.fixture
def store():
    """A store of objects in memory, in which each write is one PUT."""
    import fsspec

    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_object_stores_hold_inputs_and_parts(scorer, model, inputs, store, tmp_path, monkeypatch):
    store.put(f"{inputs}/", "/days/", recursive=True)
    puts, pipe, put = [], type(store).pipe_file, type(store).put_file
    monkeypatch.setattr(
        type(store),
        "pipe_file",
        lambda self, path, *a, **k: puts.append(path) or pipe(self, path, *a, **k),
    )
    monkeypatch.setattr(
        type(store),
        "put_file",
        lambda self, a, path, **k: puts.append(path) or put(self, a, path, **k),
    )
    out, parts = "memory://out", lambda: [put for put in puts if put.endswith(".parquet")]
    assert run_job(scorer, ["memory://days"], out) == Done(rows=150, parts=3, made=3)
    names = ["/out/a.csv.parquet", "/out/b.parquet.parquet", "/out/deep__c.csv.parquet"]
    assert sorted(parts()) == names  # one PUT for each
    store.get("/out/", f"{tmp_path}/out/", recursive=True)
    pd.testing.assert_frame_equal(read(tmp_path / "out"), expected(model), check_dtype=False)
    assert run_job(scorer, ["memory://days"], out, resume=True).made == 0
    store.rm(names[0])
    write_table(inputs / "deep/c.csv", rows(2, n=7))
    store.put(str(inputs / "deep/c.csv"), "/days/deep/c.csv")
    assert run_job(scorer, ["memory://days"], out, resume=True) == Done(rows=107, parts=3, made=2)
    assert run_job(scorer, ["memory://days/a*.csv"], "memory://other") == Done(50, 1, 1)
    with pytest.raises(FileNotFoundError, match="no file or folder memory://none"):
        run_job(scorer, ["memory://none"], out)
    with pytest.raises(ValueError, match="memory://out holds a job already"):
        run_job(scorer, ["memory://days"], out)


@pytest.mark.slow
def test_a_job_that_is_killed_goes_on(scorer, model, inputs, tmp_path):
    """Whichever part it was at: what is there is whole, and the rest is made."""
    out = tmp_path / "out"
    words = ["batch", scorer.model, inputs, "-o", out, "--key", "id", "--workers", "2"]
    command = [sys.executable, "-m", "anabranch", *map(str, words)]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while not list(out.glob("*.parquet")) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    for path in out.glob("*.parquet"):
        assert len(pd.read_parquet(path)) == 50
    run_job(scorer, [inputs], out, resume=True)
    pd.testing.assert_frame_equal(read(out), expected(model), check_dtype=False)
    assert not [path.name for path in out.iterdir() if path.name.endswith(".tmp")]


def test_the_command_says_what_it_made(scorer, inputs, tmp_path):
    from tests.cli.conftest import invoke

    words = ["batch", scorer.model, inputs, "-o", tmp_path / "out", "--outputs", "log_prob"]
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert "3, 3 made now" in done.stdout
    assert list(pd.read_parquet(tmp_path / "out/a.csv.parquet")) == ["row", "log_prob"]
    assert invoke(*words).exit_code == 1
    assert invoke(*words, "--resume").exit_code == 0
