"""Two processes under torchrun against one with whole batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anabranch.archive import read_archive
from anabranch.training.parallel import ProcessGroup, local_rows
from tests.training.distributed import BATCH_SIZES, BROKEN, train_all

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("n_processes", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [7, 8, 15])
def test_processes_share_every_batch(n_processes, size):
    parts = [local_rows(30, size, ProcessGroup(rank, n_processes)) for rank in range(n_processes)]
    rows = [row for part in parts for row in range(part.start, part.stop)]
    assert rows == list(range(30, 30 + size))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same trainings in one process and in two: what each process ended with."""
    folder = tmp_path_factory.mktemp("runs")
    command = "-m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1"
    command += f" --master_port {20_000 + os.getpid() % 20_000} -m tests.training.distributed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split(), str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "whole batch refused: batch_size must be at least the number of processes" in done.stdout
    first, second = (read_archive(folder / f"rank{rank}", "model") for rank in range(2))
    return train_all(None), first, second


def names():
    return [f"batch{size}" for size in BATCH_SIZES] + ["broken", "batchnorm", "noise"]


@pytest.mark.parametrize("name", names())
def test_processes_end_alike(runs, name):
    _, first, second = runs
    assert first[name]["history"] == second[name]["history"]
    for key, tensor in first[name]["state"].items():
        assert torch.equal(tensor, second[name]["state"][key]), key


@pytest.mark.parametrize("name", names()[:-2])
def test_two_processes_do_what_one_does(runs, name):
    """Whole batches and halves (or 8 and 7 rows of 15) give the same parameters, to rounding."""
    one, two, _ = runs
    for key, tensor in one[name]["state"].items():
        assert (tensor - two[name]["state"][key]).abs().max() < 1e-9, key
    assert one[name]["moved"] > 0.1
    for a, b in zip(one[name]["history"], two[name]["history"], strict=True):
        assert a == pytest.approx(b, nan_ok=True, abs=1e-8)


def test_a_loss_that_is_broken_in_one_process_is_skipped_by_both(runs):
    one, two, _ = runs
    assert one["broken"]["skipped"] == two["broken"]["skipped"] == len(BROKEN)
