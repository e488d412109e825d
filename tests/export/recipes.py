"""Which recipes can be exported: tries all of them, and prints the table of docs/guide/export.md.

python -m tests.export.recipes [NAME...]
"""

import re
import sys
from pathlib import Path

from anabranch.export import export_model
from anabranch.models import build
from tests.registry import perturb

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "export.md"
FORMATS = ("pt2", "onnx")
# programs that hold every step of a search, or many layers, take minutes to make; tried by hand
SLOW = ("exponential_map_flow", "flowpp", "planar", "realnvp_images")


def small_recipes():
    """Small models of all recipes."""
    from tests.models.test_recipes import SMALL

    return SMALL


def tried(name, folder):
    """For each format "yes", or the first words of why not."""
    model = perturb(build(name, **small_recipes()[name], seed=0), std=0.2).eval()
    return [_said(model, Path(folder) / f"{name}.{ending}") for ending in FORMATS]


def _said(model, path):
    try:
        export_model(model, path)
    except ValueError as error:
        reasons = {
            "cannot be exported": "no density",
            "draws random": "draws",
            "cannot follow": "cannot be followed",
            "has no words": "no words",
            "of its own rows": "differs",
            "cannot run": "not run",
        }
        return next(word for part, word in reversed(reasons.items()) if part in str(error))
    return "yes"


def line(name, said):
    """A row of the table."""
    return f"| `{name}` | {' | '.join(said)} |"


def on_page():
    """The rows of the table on the page, by recipe."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: list(said) for name, *said in rows}


if __name__ == "__main__":
    import tempfile

    names = sys.argv[1:] or [name for name in small_recipes() if name not in SLOW]
    for each in names:
        print(line(each, tried(each, tempfile.mkdtemp())), flush=True)
