"""The sizes of the house: lines, types that are not said, long signatures, and circles of imports.

python -m benchmarks.house
"""

import inspect

from tests import house

from anabranch import FlowMixture
from anabranch.experiments import Figure
from benchmarks.recording import record


def run() -> list[Figure]:
    crowded = [
        name
        for name in house.crowded(house.trees(), house.relative_paths())
        if not house.matches(name, house.UNCOUNTED)
    ]
    settings = len(inspect.signature(FlowMixture).parameters)
    figures = [
        Figure("circles of imports", len(house.circles(house.house())), 0, "lower"),
        Figure("functions of more than 7 parameters", len(crowded), house.MOST_CROWDED, "lower"),
        Figure("settings of FlowMixture", settings, 20, "lower"),
        *(
            Figure(f"Any in 1000 lines of {folder}/", house.any_per_1000(folder), most, "lower")
            for folder, most in house.MOST_ANY.items()
        ),
        *(
            Figure(f"lines of {name}", house.lines_in(folder), most, "lower")
            for folder, (name, most) in house.MOST_LINES.items()
        ),
        Figure("lines of src/ without docstrings", house.lines_in(".") - house.docstring_lines()),
    ]
    for figure in figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.met]
        print(f"{figure.name:40} {figure.value:10.1f}  {figure.wanted:10} {mark}")
    return figures


if __name__ == "__main__":
    record("bench-house", __doc__, run, settings={})
