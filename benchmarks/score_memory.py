"""Memory of `anabranch score` on a Parquet file that is larger than what it may use.

The file has 2 GB of random float64 in 20 columns, in row groups of 100 000; it lies in a temporary
folder that is deleted afterwards. Reported is the peak resident memory of the scoring process.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anabranch import FlowMixture, save
from anabranch.experiments import Figure
from benchmarks.recording import record

COLUMNS = [f"x{j}" for j in range(20)]
GROUP = 100_000
# The peak that the system keeps for a child begins with its parent's; the child's own is asked for.
COMMAND = """
import atexit, sys
from pathlib import Path
peak = Path(sys.argv.pop(1))
atexit.register(lambda: peak.write_text(Path("/proc/self/status").read_text()))
from anabranch.cli import main
main()
"""


def group(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(GROUP, len(COLUMNS)))


def write_file(path: Path, gigabytes: float) -> int:
    """Write row groups until the file has that size; gives its rows."""
    n_groups = round(gigabytes * 1e9 / (GROUP * len(COLUMNS) * 8))
    schema = pa.schema([(name, pa.float64()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for seed in range(n_groups):
            writer.write_table(pa.table(dict(zip(COLUMNS, group(seed).T, strict=True))))
    return n_groups * GROUP


def write_model(path: Path) -> None:
    flow = {"name": "realnvp", "n_layers": 2, "hidden": [16]}
    mixture = FlowMixture(2, flow=flow, max_epochs=2, covariance_type="full", random_state=0)
    save(mixture.fit(group(0)[:5000]), path)


def peak_memory(arguments: list[str], status: Path) -> float:
    """Peak resident memory of a command in MB; reads what only Linux offers."""
    subprocess.run([sys.executable, "-c", COMMAND, str(status), *arguments], check=True)
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6


def run(gigabytes: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
        return _run(Path(folder), gigabytes)


def _run(folder: Path, gigabytes: float) -> list[Figure]:
    data, model, scores = (folder / name for name in ("data.parquet", "model", "scores.parquet"))
    n_rows = write_file(data, gigabytes)
    size = data.stat().st_size / 1e6
    write_model(model)
    started = time.perf_counter()
    command = ["score", str(model), str(data), "-o", str(scores)]
    memory = peak_memory(command, folder / "status")
    seconds = time.perf_counter() - started
    scored = pq.ParquetFile(scores).metadata.num_rows
    if scored != n_rows:
        raise RuntimeError(f"{scored} scores of {n_rows} rows")
    print(f"{size:.0f} MB, {n_rows} rows: {memory:.0f} MB resident, {seconds:.0f} s")
    return [
        Figure("file MB", size),
        Figure("rows", n_rows),
        Figure("seconds", seconds),
        Figure("peak resident MB", memory, 1500.0, "lower"),
    ]


if __name__ == "__main__":
    record(
        "bench-score-memory",
        __doc__,
        run,
        settings={"columns": len(COLUMNS), "row_group": GROUP},
        gigabytes=2.0,
    )
