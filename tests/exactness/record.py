"""Write what comes out of all cases: ``python -m tests.exactness.record [FILE]``."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import anabranch
from anabranch.models import list_recipes
from tests.exactness.cases import CASES, COMMIT, FILE, record
from tests.exactness.measures import kernels

ESTIMATORS = ("DeepClustering", "DeepMixture", "FlowDensity", "FlowGMM", "FlowMixture")
ESTIMATORS += ("GaussianMixture", "RAD")


def main(path: Path) -> None:
    """Record all cases, and say which take long."""
    found: dict[str, Any] = {}
    for name in CASES:
        started = time.perf_counter()
        found[name] = record(name)
        seconds = time.perf_counter() - started
        if seconds > 1:
            print(f"{name} took {seconds:.1f} s")
    head = {
        "commit": COMMIT,
        "version": anabranch.__version__,
        **kernels(),
        "systems": sorted([*list_recipes(), *ESTIMATORS]),
    }
    path.write_text(_lines({**head, "cases": found}), encoding="utf-8")


def _lines(tree: dict[str, Any]) -> str:
    """JSON with a line for each case, so that a diff shows which have moved."""
    head = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in tree.items() if k != "cases"]
    short = {"separators": (",", ":")}
    cases = [f"{json.dumps(k)}: {json.dumps(v, **short)}" for k, v in tree["cases"].items()]
    return "{\n" + ",\n".join(head) + ',\n"cases": {\n' + ",\n".join(cases) + "\n}\n}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
