"""The house keeps its order: imports run downward and in no circle, and signatures are short."""

import ast
from statistics import median

import pytest

from tests.house import (
    BESIDE,
    CROWDED,
    FLOORS,
    MOST_ANY,
    MOST_CROWDED,
    UNCOUNTED,
    any_per_1000,
    between_children,
    circles,
    count_any,
    crowded,
    functions_of,
    house,
    import_graph,
    imported_names,
    lines_in,
    matches,
    packages,
    relative_paths,
    trees,
)

# --- imports ------------------------------------------------------------------------------------


def violations(part, tree):
    """Imports of a module of that part that run upward, or from beside into the floors."""
    for target in {name.partition(".")[0] for name in imported_names(tree)}:
        if target == part or target in BESIDE:
            continue
        if part in BESIDE and target in FLOORS:
            yield f"{part} stands beside, but imports {target}"
        elif part in FLOORS and target in FLOORS and FLOORS[target] >= FLOORS[part]:
            yield f"{part} imports {target}"


@pytest.mark.parametrize("name", trees(), ids=relative_paths().get)
def test_imports_run_downward(name):
    assert list(violations(name.partition(".")[0], trees()[name])) == []
    relative = [n for n in ast.walk(trees()[name]) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, "imports are absolute"


def test_every_part_has_its_place():
    parts = {name.partition(".")[0] for name in trees()} - {"", "__main__"}
    assert parts <= set(FLOORS) | BESIDE


def test_no_module_is_in_a_circle():
    assert circles(house()) == []


@pytest.mark.parametrize("package", packages(trees()))
def test_no_circle_among_what_a_package_holds(package):
    assert circles(between_children(house(), package)) == []


# --- sizes --------------------------------------------------------------------------------------


def test_functions_have_few_parameters():
    counted = [name for name in crowded(trees(), relative_paths()) if not matches(name, UNCOUNTED)]
    assert [name for name in counted if not matches(name, CROWDED)] == [], "give a reason"
    assert len(counted) <= MOST_CROWDED, counted


@pytest.mark.parametrize(("folder", "most"), MOST_ANY.items())
def test_types_are_said(folder, most):
    assert any_per_1000(folder) <= most


def test_report_function_lengths(record_property):
    """Recorded, not asserted: the median length of a function's body, docstring left out."""
    lengths = []
    for tree in trees().values():
        for _, node in functions_of(tree):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
    record_property("functions", len(lengths))
    record_property("median_lines", median(lengths))
    print(f"{len(lengths)} functions, median {median(lengths)} lines, longest {max(lengths)}")


# --- commands ask estimators, and do not guess what they are -------------------------------------

GUESSES = ("hasattr", "getattr", "isinstance")
ESTIMATORS = {"model", "mixture", "density", "estimator"}


def guesses(tree):
    """Lines where a name of an estimator is asked what it has or is."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in GUESSES
        and isinstance(call.args[0], ast.Name)
        and call.args[0].id in ESTIMATORS
    ]


# what compresses needs a Coder, and nothing else will do
OF_ONE_KIND = {"cli.coders"}


@pytest.mark.parametrize(
    "name", [n for n in trees() if n.startswith("cli.") and n not in OF_ONE_KIND]
)
def test_commands_do_not_guess(name):
    assert guesses(trees()[name]) == []


def test_guesses_are_seen():
    assert guesses(ast.parse("hasattr(model, 'score')\nisinstance(1, int)")) == [1]


# --- the rules can fail -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("networks", "from anabranch.transforms import Affine"),
        ("functional", "import anabranch.networks.linear"),
        ("models", "def f():\n    from anabranch.estimators import FlowMixture"),
        ("objectives", "from anabranch.training import fit"),
        ("metrics", "from anabranch import distributions"),
        ("training", "if TYPE_CHECKING:\n    from anabranch.models import MixtureModel"),
    ],
)
def test_upward_imports_are_seen(part, code):
    assert list(violations(part, ast.parse(code)))


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("cli", "from anabranch.reports import report\nimport torch"),
        ("transforms", "from anabranch.contracts.transform import Transform"),
        ("estimators", "from anabranch.data import read"),
        ("", "from anabranch.estimators import FlowMixture"),
    ],
)
def test_the_rule_lets_pass(part, code):
    assert not list(violations(part, ast.parse(code)))


HOUSE = {
    "": "",
    "models": "from anabranch.models.rad import rad as rad",
    "models.rad": "from anabranch.transforms import Fold",
    "models.deep": "",
    "models.deep.vae": "",
    "transforms": "from anabranch.transforms.fold import Fold as Fold",
    "transforms.fold": "",
}


def parsed(codes):
    return {name: ast.parse(code) for name, code in codes.items()}


@pytest.mark.parametrize(
    ("changed", "circle"),
    [
        ({}, []),
        ({"transforms.fold": "from anabranch.transforms import Fold"}, ["transforms"]),
        ({"transforms.fold": "if TYPE_CHECKING:\n    import anabranch.models.rad"}, ["models.rad"]),
        ({"transforms.fold": "def f():\n    from anabranch import transforms"}, ["transforms"]),
        ({"models.rad": "from anabranch.models.rad import rad"}, ["models.rad"]),
    ],
)
def test_circles_are_seen(changed, circle):
    found = circles(import_graph(parsed(HOUSE | changed)))
    assert len(found) == len(circle)
    assert all(name in found[0] for name in circle)


def test_circles_among_packages_are_seen():
    changed = {
        "models.rad": "from anabranch.models.deep.vae import vae",
        "models.deep": "from anabranch.models import rad",
    }
    graph = import_graph(parsed(HOUSE | changed))
    assert circles(graph) == [], "module by module there is none"
    assert circles(between_children(graph, "models")) == [["deep", "rad"]]


def test_crowded_functions_are_seen():
    names = ", ".join("abcdefgh")
    code = f"""
class Net:
    def __init__(self, {names}): ...
    def enough(self, {names[:-3]}): ...
def f(a, *, {names[3:]}, i):
    def inner({names}): ...
@recipe
def system({names}): ...
"""
    found = list(crowded({"m": ast.parse(code)}, {"m": "networks/m.py"}))
    assert found == ["networks/m.py::Net.__init__", "networks/m.py::f", "networks/m.py::inner"]
    assert [matches(name, CROWDED) for name in found] == [True, False, False]
    assert matches("estimators/rad.py::RAD.__init__", UNCOUNTED)
    assert not matches("estimators/rad.py::RAD.fit", UNCOUNTED)


def test_untyped_values_are_seen():
    code = "from typing import Any\ndef f(x: Any, **settings: dict[str, Any]) -> None: ..."
    assert count_any(ast.parse(code)) == 2


def test_lines_are_counted():
    assert 0 < lines_in("training") < lines_in(".")
    assert lines_in(".") > 1000
