"""Fits under torchrun: one seed, one table and one set of settings for all processes, or none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anabranch import load
from anabranch.data import read_mixed, write_table
from tests.estimators.launched import CHANGES, KINDS, SEEDED, rows, seeded

ROOT = Path(__file__).parents[2]
FIT = "fit rows.csv -k 2 -o {} --max-epochs 3 --seed 3 --set init_params=kmeans"


def torchrun(words, folder, restarts=0):
    """Two processes that run a module, started again where one of them dies."""
    port = 20_000 + (os.getpid() * 7 + 1) % 20_000
    command = (
        f"-m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1 --master_port {port}"
        f" --max-restarts {restarts}"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *command.split(), "-m", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each process ended with."""
    folder = tmp_path_factory.mktemp("processes")
    done = torchrun(["tests.estimators.launched", str(folder)], folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.slow
def test_processes_without_a_seed_end_alike(told, name):
    assert told[0][name] == told[1][name]


@pytest.mark.parametrize("name", CHANGES)
def test_processes_that_differ_are_all_refused(told, name):
    wanted = {
        "fewer rows": "process 1 was given other numbers of rows than process 0 (60 and 120)",
        "other rows": "process 1 was given other data than process 0",
        "other settings": "process 1 was given other settings than process 0",
        "other seeds": "process 1 was given other seeds than process 0 (1 and 0)",
        "no seed": "process 1 was given other seeds than process 0 (drawn and 0)",
    }
    for process in told:
        assert process[name].startswith(wanted[name])


@pytest.fixture(scope="module")
def told_of_all(tmp_path_factory):
    """What all estimators with a seed ended with in each of two processes."""
    folder = tmp_path_factory.mktemp("all")
    done = torchrun(["tests.estimators.launched", str(folder), "all"], folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.filterwarnings("ignore")
def test_two_processes_end_where_one_does(told_of_all, name):
    alone = seeded(name)
    for process in told_of_all:
        assert np.abs(np.array(process[f"seeded {name}"]) - alone).max() < 1e-5 * max(
            1.0, np.abs(alone).max()
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixture", "density"])
def test_a_killed_process_changes_no_bit(kind, tmp_path):
    ends = {}
    for how in ("whole", "killed"):
        folder = tmp_path / how
        folder.mkdir()
        done = torchrun(["tests.estimators.killed", str(folder), kind, how], folder, restarts=1)
        assert done.returncode == 0, done.stderr
        ends[how] = (folder / "hash").read_text()
    assert (tmp_path / "killed" / "taken").exists()
    assert ends["killed"] == ends["whole"]


@pytest.mark.slow
def test_the_shell_fits_once_in_all_processes(tmp_path):
    X = rows()
    write_table(tmp_path / "rows.csv", {"x": X[:, 0], "y": X[:, 1]})
    done = torchrun(["anabranch", *FIT.format("two").split()], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("components") == 1, "one process speaks"
    alone = [sys.executable, "-m", "anabranch", *FIT.format("one").split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(alone, cwd=tmp_path, env=environment, check=True, capture_output=True)
    frame = read_mixed([tmp_path / "rows.csv"]).X
    one, two = (load(tmp_path / name).score_samples(frame) for name in ("one", "two"))
    assert np.abs(one - two).max() < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "one", "two"}
