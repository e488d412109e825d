"""All cases by their names, and the file of their numbers."""

import json
from pathlib import Path
from typing import Any

from tests.exactness import estimators, recipes
from tests.exactness.measures import Record, differences, repeatable, same_kernels, steady

# How far numbers may be apart, absolutely below one and relatively above.
SAME_KERNELS, OTHER_KERNELS, WANDERING_KERNELS = 1e-6, 1e-3, 1e-1

FILE = Path(__file__).with_name("279495c.json")
CASES = {**recipes.CASES, **estimators.CASES}

# Fits in which Adam makes steps of what is rounded: some gradients are zero but for that.
WANDERING = (
    *(name for name in CASES if name.endswith("batchnorm")),
    "tabak_turner",
    "DeepMixture: relu",
)


def record(name: str) -> Record:
    """What comes out of a case."""
    with repeatable():
        return CASES[name].record()


def recorded() -> dict[str, Any]:
    """What came out at the commit, and with which kernels."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def moved(name: str, then: dict[str, Any], found: Record) -> list[str]:
    """What is no longer as it was then, as far as the kernels of this machine can tell."""
    expected = then["cases"][name]
    if same_kernels(then):
        return list(differences(expected, found, SAME_KERNELS, name))
    tolerance = WANDERING_KERNELS if name in WANDERING else OTHER_KERNELS
    return list(differences(steady(expected), steady(found), tolerance, name))
