"""All cases by their names, and the file of their numbers."""

import json
from pathlib import Path
from typing import Any

from tests.exactness import estimators, recipes
from tests.exactness.measures import Record, repeatable

COMMIT = "279495c"
FILE = Path(__file__).with_name(f"{COMMIT}.json")
CASES = {**recipes.CASES, **estimators.CASES}


def record(name: str) -> Record:
    """What comes out of a case."""
    with repeatable():
        return CASES[name].record()


def recorded() -> dict[str, Any]:
    """What came out at the commit, and with which kernels."""
    return json.loads(FILE.read_text(encoding="utf-8"))
