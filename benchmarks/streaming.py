"""Streamed fits beside those in memory: two moons, shuffled, sorted by class, and in other files.

The buffer holds a third of the table. Reported is how far log-densities of new rows, in nats, fall
behind those of a fit in memory, over seeds; and whether the order of files changes a bit.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from anabranch import FlowDensity, FlowMixture
from anabranch.archive import fingerprint
from anabranch.data import ParquetRows
from anabranch.experiments import Figure
from anabranch.problems import Moons
from benchmarks.recording import record

FLOW = {"name": "realnvp", "n_layers": 4, "hidden": [16]}
KINDS = {
    "mixture": lambda seed: FlowMixture(2, flow=FLOW, random_state=seed),
    "density": lambda seed: FlowDensity(FLOW, random_state=seed),
}


def write(folder: Path, X: np.ndarray, names: str) -> Path:
    folder.mkdir()
    for name, part in zip(names, np.array_split(X, len(names)), strict=True):
        frame = pd.DataFrame(part, columns=["x", "y"])
        frame.to_parquet(folder / f"{name}.parquet", row_group_size=2000)
    return folder


def run(rows: int, seeds: int) -> list[Figure]:
    X, side = Moons().sample(rows, random_state=0)
    test = pd.DataFrame(Moons().sample(20_000, random_state=1)[0], columns=["x", "y"])
    by_class = X[np.argsort(side, kind="stable")]
    third = rows / 3 * 16 * 4 / 2**20
    figures = []
    with tempfile.TemporaryDirectory(prefix="anabranch-") as name:
        top = Path(name)
        folders = {
            "shuffled": write(top / "shuffled", X, "abc"),
            "sorted": write(top / "sorted", by_class, "abc"),
            "renamed": write(top / "renamed", by_class[::-1], "xyz"),
        }
        for kind, make in KINDS.items():
            gaps, same = {"shuffled": [], "sorted": []}, True
            for seed in range(seeds):
                held = make(seed).fit(pd.DataFrame(X, columns=["x", "y"])).score(test)
                fits = {
                    how: make(seed).fit(ParquetRows(folder, buffer_mb=third))
                    for how, folder in folders.items()
                }
                for how, gap in gaps.items():
                    gap.append(held - fits[how].score(test))
                bits = {fingerprint(dict(fit.model_.state_dict())) for fit in fits.values()}
                same = same and len(bits) == 1
                print(kind, seed, held, {how: gap[-1] for how, gap in gaps.items()}, flush=True)
            figures += [
                Figure(f"{kind}: nats behind memory", max(gaps["shuffled"]), 0.01, "lower"),
                Figure(f"{kind}: nats behind memory, sorted", max(gaps["sorted"]), 0.02, "lower"),
                Figure(f"{kind}: any order of files, the same bits", float(same), 1.0),
            ]
    return figures


if __name__ == "__main__":
    record("bench-streaming", __doc__, run, settings={"flow": FLOW}, rows=20_000, seeds=2)
