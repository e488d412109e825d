"""Record cases again: ``python -m tests.exactness.record NAME ...``, without a name all.

The others keep the numbers of the commit.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tests.exactness.cases import CASES, FILE, moved, record, recorded
from tests.exactness.measures import kernels, same_kernels


def main(names: Sequence[str]) -> None:
    """Record these cases, and say which have moved."""
    then = recorded()
    if names and not same_kernels(then):
        raise SystemExit("this machine rounds otherwise than the recorded one: record all cases")
    found = {name: record(name) for name in names or CASES}
    for name in found:
        if name not in then["cases"] or moved(name, then, found[name]):
            print(name)
    kept = then["cases"] if names else {}
    FILE.write_text(_lines({**then, **kernels(), "cases": {**kept, **found}}), encoding="utf-8")


def _lines(tree: dict[str, Any]) -> str:
    """JSON with a line for each case, so that a diff shows which have moved."""
    head = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in tree.items() if k != "cases"]
    short = {"separators": (",", ":")}
    cases = [f"{json.dumps(k)}: {json.dumps(v, **short)}" for k, v in tree["cases"].items()]
    return "{\n" + ",\n".join(head) + ',\n"cases": {\n' + ",\n".join(cases) + "\n}\n}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
