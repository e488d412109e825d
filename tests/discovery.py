"""What the package exports, found by looking: no test keeps a list of it.

A new recipe or scalar map is tried as soon as one line of an ``__init__.py`` exports it.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from anabranch import transforms
from anabranch.contracts.domain import REAL
from anabranch.transforms import ScalarMap


def exported(package: ModuleType) -> dict[str, Any]:
    """The public classes and functions of a package by name; submodules are left out."""
    return {
        name: value
        for name, value in vars(package).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
    }


def untried_maps(tried: Iterable[ScalarMap]) -> dict[str, ScalarMap]:
    """Each scalar map of the line that is not among those tried, as it is by default."""
    known = {type(scalar_map) for scalar_map in tried}
    return {
        kebab(name): kind()
        for name, kind in exported(transforms).items()
        if kind.__module__.startswith(f"{transforms.__name__}.scalar.")
        and not (inspect.isabstract(kind) or kind in known)
        and kind.domain == REAL
    }


def kebab(name: str) -> str:
    """SumOfSquares as sum-of-squares."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def example_of(recipe: Callable[..., Any]) -> dict[str, Any]:
    """The arguments with which the example of a recipe's docstring calls it, but for the seed.

    The example is what a reader copies: small, and of plain values.
    """
    signature = inspect.signature(recipe)
    namespace: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(recipe.__doc__ or ""):
        for statement in ast.parse(example.source).body:
            if isinstance(statement, ast.Assign) and not calls_in(statement):
                exec(compile(ast.Module([statement], []), "<example>", "exec"), namespace)
            for call in calls_in(statement):
                if isinstance(call.func, ast.Name) and call.func.id == recipe.__name__:
                    return _arguments(signature, call, namespace)
    raise AssertionError(f"the docstring of {recipe.__name__} has no example that calls it")


def calls_in(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _arguments(
    signature: inspect.Signature, call: ast.Call, namespace: dict[str, Any]
) -> dict[str, Any]:
    def value(node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), "<example>", "eval"), namespace)

    keywords = {keyword.arg: value(keyword.value) for keyword in call.keywords if keyword.arg}
    bound = signature.bind(*map(value, call.args), **keywords).arguments
    return {name: value for name, value in bound.items() if name != "seed"}
