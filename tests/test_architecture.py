"""Imports run downward only."""

import ast
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "anabranch"
FLOORS = {
    name: floor
    for floor, name in enumerate(
        (
            "functional",
            "networks",
            "contracts",
            "transforms",
            "distributions",
            "objectives",
            "algorithms",
            "training",
            "models",
            "procedures",
            "estimators",
            "reports",
            "experiments",
            "cli",
        )
    )
}
# beside the floors: anyone may import them, and they import no floor
BESIDE = {"data", "problems", "metrics", "archive", "version"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path):
    """The floor, or the part beside, that a module belongs to; None for the package itself."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first in ("__init__", "__main__") else first


def imported_parts(tree):
    """Parts of the package that are imported anywhere in a module, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "anabranch":
            names = [f"anabranch.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head == "anabranch" and rest:
                yield rest.partition(".")[0]


def violations(part, tree):
    """Imports of a module of that part that run upward, or from beside into the floors."""
    for target in imported_parts(tree):
        if target == part or target in BESIDE:
            continue
        if part in BESIDE and target in FLOORS:
            yield f"{part} stands beside, but imports {target}"
        elif part in FLOORS and target in FLOORS and FLOORS[target] >= FLOORS[part]:
            yield f"{part} imports {target}"


@pytest.mark.parametrize("path", MODULES, ids=[str(p.relative_to(PACKAGE)) for p in MODULES])
def test_imports_run_downward(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert list(violations(part_of(path), tree)) == []
    relative = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level > 0]
    assert not relative, "imports are absolute"


def test_every_part_has_its_place():
    parts = {part_of(path) for path in MODULES} - {None}
    assert parts <= set(FLOORS) | BESIDE


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("networks", "from anabranch.transforms import Affine"),
        ("functional", "import anabranch.networks.linear"),
        ("models", "def f():\n    from anabranch.estimators import FlowMixture"),
        ("objectives", "from anabranch.training import fit"),
        ("metrics", "from anabranch import distributions"),
    ],
)
def test_the_rule_can_fail(part, code):
    assert list(violations(part, ast.parse(code)))


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("cli", "from anabranch.reports import report\nimport torch"),
        ("transforms", "from anabranch.contracts.transform import Transform"),
        ("estimators", "from anabranch.data import read"),
        (None, "from anabranch.estimators import FlowMixture"),
    ],
)
def test_the_rule_lets_pass(part, code):
    assert not list(violations(part, ast.parse(code)))


def test_report_function_lengths(record_property):
    """Recorded, not asserted: the median length of a function's body, docstring left out."""
    lengths = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body:
                    lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
    record_property("functions", len(lengths))
    record_property("median_lines", median(lengths))
    print(f"{len(lengths)} functions, median {median(lengths)} lines, longest {max(lengths)}")
