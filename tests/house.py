"""What the check of the house measures: imports, and the sizes of files and signatures.

Every import counts, also inside functions and for types only.
"""

import ast
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

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
            "coding",
            "models",
            "procedures",
            "estimators",
            "tuning",
            "reports",
            "explorer",
            "batch",
            "ray",
            "mlflow",
            "export",
            "serve",
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
# what benchmarks/house.py measures, and the results page says of it
MOST_LINES = {
    ".": ("src/", 39_900),
    "estimators": ("estimators/", 5_000),
    "training": ("training/", 2_300),
}
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


def any_per_1000(folder):
    used = sum(count_any(tree) for name, tree in trees().items() if name.startswith(f"{folder}."))
    return 1000 * used / lines_in(folder)


def docstring_lines():
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    nodes = (node for tree in trees().values() for node in ast.walk(tree))
    first = [node.body[0] for node in nodes if isinstance(node, kinds) and ast.get_docstring(node)]
    return sum((node.end_lineno or 0) - node.lineno + 1 for node in first)
