"""`anabranch batch` with one worker and with two: throughput and memory of a job over a folder.

Rows are random float64 in 20 columns, in 16 Parquet files in a temporary folder. Runs with one and
with two workers take turns; reported are the best of each, and the peak memory of a process.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anabranch import FlowMixture, save
from anabranch.experiments import Figure
from benchmarks.recording import record

FILES, COLUMNS = 16, [f"x{j}" for j in range(20)]


def write_files(folder: Path, rows: int) -> None:
    for part in range(FILES):
        X = np.random.default_rng(part).normal(size=(rows // FILES, len(COLUMNS)))
        table = pa.table(dict(zip(COLUMNS, X.T, strict=True)))
        pq.write_table(table, folder / f"{part:02}.parquet", row_group_size=50_000)


def write_model(path: Path) -> None:
    X = np.random.default_rng(99).normal(size=(5000, len(COLUMNS)))
    flow = {"name": "realnvp", "n_layers": 4, "hidden": [32]}
    mixture = FlowMixture(2, flow=flow, max_epochs=1, covariance_type="full", random_state=0)
    save(mixture.fit(X), path)


def resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def family(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def job(model: Path, data: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds of a job, and the largest resident memory of one of its processes in MB."""
    words = ["batch", model, data, "-o", out, "--workers", workers, "--outputs", "log_prob"]
    command = [sys.executable, "-m", "anabranch", *map(str, words)]
    environment, started = {**os.environ, "OMP_NUM_THREADS": "1"}, time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peak, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max([peak, *map(resident_mb, family(process.pid))])

    watching = threading.Thread(target=watch)
    watching.start()
    code = process.wait()
    ended.set()
    watching.join()
    if code:
        raise RuntimeError(f"the job ended with {code}")
    return time.perf_counter() - started, peak


def run(rows: int, repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="anabranch-") as name:
        folder = Path(name)
        data = folder / "in"
        data.mkdir()
        write_files(data, rows)
        write_model(folder / "model")
        took: dict[int, list[float]] = {1: [], 2: []}
        peak = 0.0
        for i in range(repeats):
            for workers, seconds in took.items():
                out = folder / f"out-{i}-{workers}"
                elapsed, memory = job(folder / "model", data, out, workers)
                seconds.append(elapsed)
                peak = max(peak, memory)
                scored = sum(pq.read_metadata(p).num_rows for p in out.glob("*.parquet"))
                if scored != rows // FILES * FILES:
                    raise RuntimeError(f"{scored} scores of {rows} rows")
                print(f"{workers} workers: {elapsed:.1f} s, {memory:.0f} MB", flush=True)
    one, two = (min(took[workers]) for workers in (1, 2))
    return [
        Figure("rows", rows),
        Figure("rows a second, one worker", rows / one),
        Figure("throughput of two workers, times one", one / two, 1.7),
        Figure("peak resident MB of a worker", peak, 600.0, "lower"),
    ]


if __name__ == "__main__":
    settings = {"files": FILES, "columns": len(COLUMNS)}
    record("bench-job-overhead", __doc__, run, settings=settings, rows=4_000_000, repeats=2)
