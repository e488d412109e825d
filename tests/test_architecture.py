"""The house keeps its order: imports run downward and in no circle, and sizes stay in bounds.

Every import counts, also inside functions and for types only.
"""

import ast
from fnmatch import fnmatch
from functools import cache
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

MOST_PARAMETERS = 7
MOST_CROWDED = 25
# functions that may have more than MOST_PARAMETERS without being counted, and why
UNCOUNTED = {
    "cli/*": "options of a command: typer makes them of keyword-only parameters",
    "estimators/*::*.__init__": "scikit-learn's contract: settings are keywords of a constructor",
}
# those that are counted, and why each kind has so many
CROWDED = {
    "networks/*::*.__init__": "sizes, activation, context, component axis and seed of a network",
    "transforms/*::*.__init__": "the same, of the network that gives a structure its parameters",
    "distributions/*::*.__init__": "the same, of the network that gives a distribution its own",
    "models/*::*.__init__": "the parts and sizes of a published system",
    "objectives/*::*.__init__": "weights of the terms of a loss, or ranges of a perturbation",
    "procedures/*": "a published procedure with its schedule, keyword-only",
    "training/*": "the loop: what is minimised, the data, how, and what watches it",
    "reports/*": "what a report shows, keyword-only",
    "experiments/toy_flows.py::learn": "the settings of a published experiment",
}
MOST_LINES = {".": 39_900, "estimators": 5_000, "training": 2_300}
MOST_ANY = {"estimators": 8}  # per 1000 lines


# --- reading ------------------------------------------------------------------------------------


def module_name(path, package=PACKAGE):
    """The dotted name of a module of the package, relative to it: "transforms.coupling"."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def trees():
    """The syntax tree of every module by its name; the package itself is ""."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {module_name(path): ast.parse(path.read_text("utf-8")) for path in paths}


@cache
def relative_paths():
    return {module_name(path): str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}


def imported_names(tree):
    """What a module imports of the package, anywhere in it: dotted names, relative to it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head == "anabranch" and rest:
                yield rest


@cache
def house():
    """The graph of imports of the package as it is."""
    return import_graph(trees())


def import_graph(forest):
    """For each module the modules that it imports; a name that is no module is its module's."""
    graph = {}
    for name, tree in forest.items():
        graph[name] = set()
        for imported in imported_names(tree):
            while imported and imported not in forest:
                imported = imported.rpartition(".")[0]
            graph[name].add(imported)
    return graph


def circles(graph):
    """The sets of nodes that can be reached from each other, and nodes that point at themselves."""
    reach = {node: reachable(graph, node) for node in graph}
    found = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph}
    return sorted(sorted(circle) for circle in found if circle)


def reachable(graph, start):
    seen, todo = set(), list(graph[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += graph[node]
    return seen


def between_children(graph, package):
    """The graph among the modules and packages that a package holds, each taken as one."""

    def child(name):
        inside = name.startswith(f"{package}.") if package else bool(name)
        rest = name.removeprefix(f"{package}.") if package else name
        return rest.partition(".")[0] if inside else None

    merged = {}
    for name, targets in graph.items():
        if child(name):
            others = {child(target) for target in targets} - {child(name), None}
            merged.setdefault(child(name), set()).update(others)
    return merged


def packages(forest):
    return sorted({name.rpartition(".")[0] for name in forest if name})


def crowded(forest, paths):
    """Functions of too many parameters, self left out, as "path::Class.function"; no recipes."""
    for name, tree in forest.items():
        for owner, function in functions_of(tree):
            arguments = function.args
            given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in given)
            if count > MOST_PARAMETERS and not is_recipe(function):
                yield f"{paths[name]}::{owner}{function.name}"


def is_recipe(function):
    return any(isinstance(d, ast.Name) and d.id == "recipe" for d in function.decorator_list)


def functions_of(tree, owner=""):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield owner, node
            yield from functions_of(node, owner)
        else:
            yield from functions_of(node, owner)


def matches(name, reasons):
    return any(fnmatch(name, pattern) for pattern in reasons)


def count_any(tree):
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))


def lines_in(folder):
    paths = (PACKAGE / folder).rglob("*.py")
    return sum(len(path.read_text("utf-8").splitlines()) for path in paths)


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


@pytest.mark.parametrize(("folder", "most"), MOST_LINES.items())
def test_lines(folder, most):
    assert lines_in(folder) <= most


@pytest.mark.parametrize(("folder", "most"), MOST_ANY.items())
def test_types_are_said(folder, most):
    used = sum(count_any(tree) for name, tree in trees().items() if name.startswith(f"{folder}."))
    assert 1000 * used / lines_in(folder) <= most


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
