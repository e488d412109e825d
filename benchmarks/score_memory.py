"""Memory of `anabranch score` on a Parquet file that is larger than what it may use.

The file has 2 GB of random float64 in 20 columns, in row groups of 100 000; it lies in a temporary
folder that is deleted afterwards. Reported is the peak resident memory of the scoring process.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anabranch import FlowMixture, save
from anabranch.experiments import Figure, write_result

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


def run(folder: Path, gigabytes: float) -> list[Figure]:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
        figures = run(Path(folder), arguments.gigabytes)
    path = write_result(
        "bench-score-memory",
        figures,
        settings={"gigabytes": arguments.gigabytes, "columns": len(COLUMNS), "row_group": GROUP},
        seeds=[0],
        seconds=time.perf_counter() - started,
        out=arguments.out,
    )
    print(f"wrote {path}")
    if any(figure.met is False for figure in figures):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
