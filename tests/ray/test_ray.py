"""Ray: every row is scored once, whoever is killed on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anabranch import GaussianMixture, save
from anabranch.batch import Scorer, run_job
from anabranch.batch.job import Done
from anabranch.data import write_table

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
N, FILES = 400_000, 8


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder of files, and a model."""
    folder, random = tmp_path_factory.mktemp("ray"), np.random.RandomState(0)
    (folder / "in").mkdir()
    for part, ids in enumerate(np.array_split(np.arange(N), FILES)):
        x = random.randn(len(ids))
        write_table(folder / f"in/{part}.parquet", {"id": ids, "x": x, "y": x + ids % 2})
    frame = pd.read_parquet(folder / "in/0.parquet")[["x", "y"]]
    save(GaussianMixture(2, random_state=0).fit(frame.head(2000)), folder / "m")
    return folder


def environment(folder):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "MARK": str(folder / "mark"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def check(told):
    assert len(told) == N
    assert told["id"].is_unique


def test_an_actor_that_is_killed_loses_no_row(rows, tmp_path):
    script = [sys.executable, "-m", "tests.ray.ray_jobs", rows / "m", rows / "in", tmp_path / "out"]
    subprocess.run(map(str, script), env=environment(tmp_path), check=True, timeout=280)
    assert (tmp_path / "mark").exists()
    told = pd.concat(pd.read_parquet(path) for path in (tmp_path / "out").glob("*.parquet"))
    check(told)
    part = pd.read_parquet(rows / "in/3.parquet")
    expected = Scorer(rows / "m", ("log_prob",), key="id")(part).set_index("id")["log_prob"]
    found = told.set_index("id")["log_prob"].loc[expected.index]
    assert np.abs(found - expected).max() < 1e-9


def test_a_driver_that_is_killed_goes_on(rows, tmp_path):
    out = tmp_path / "out"
    words = ["batch", rows / "m", rows / "in", "-o", out, "--key", "id", "--workers", "2"]
    command = [sys.executable, "-m", "anabranch", *map(str, words), "--engine", "ray"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        command, env=environment(tmp_path), start_new_session=True, **quiet
    ) as process:
        end = time.monotonic() + 200
        while not list(out.glob("*.parquet")) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(
        [*command, "--resume"], env=environment(tmp_path), check=True, timeout=280, **quiet
    )
    read = lambda: pd.concat(pd.read_parquet(path) for path in out.glob("*.parquet"))  # noqa: E731
    check(read())
    (out / "3.parquet.parquet").unlink()
    scorer = Scorer(str(rows / "m"), key="id")
    assert run_job(scorer, [rows / "in"], out, resume=True) == Done(N, FILES, 1)
    check(read())
