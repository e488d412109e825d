"""The registry of recipes: published systems by name, with plain keyword arguments."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from anabranch.functional.numbers import is_whole

F = TypeVar("F", bound=Callable[..., nn.Module])

_RECIPES: dict[str, Callable[..., nn.Module]] = {}


def recipe(function: F) -> F:
    """Register a function that builds a model from plain JSON values.

    The model remembers the name and arguments it was built with, so that a file of its tensors is
    enough to build it again.

    Example:
        >>> from anabranch.models import realnvp
        >>> realnvp(2, n_layers=3).recipe
        {'name': 'realnvp', 'arguments': {'features': 2, 'n_layers': 3}}
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def build(*args: Any, **kwargs: Any) -> nn.Module:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        for name, value in arguments.items():
            if signature.parameters[name].annotation is int:
                arguments[name] = _whole(name, value)
        model = function(**arguments)
        if isinstance(source := arguments.get("seed"), torch.Generator):
            arguments["seed"] = source.initial_seed()
        arguments = _plain(function.__name__, arguments)
        object.__setattr__(model, "recipe", {"name": function.__name__, "arguments": arguments})
        return model

    _RECIPES[function.__name__] = build
    return build  # pyright: ignore[reportReturnType]


def keywords(name: str) -> list[str]:
    """The keyword arguments of a recipe.

    Raises:
        ValueError: for an unknown name; lists the known ones.

    Example:
        >>> keywords("realnvp")[:3]
        ['features', 'n_layers', 'hidden']
    """
    if name not in _RECIPES:
        raise ValueError(f"unknown recipe {name!r}; there are {', '.join(sorted(_RECIPES))}")
    return list(inspect.signature(_RECIPES[name]).parameters)


def build(name: str, **arguments: Any) -> nn.Module:
    """Build a model by the name of its recipe.

    Raises:
        ValueError: for an unknown name; lists the known ones.
        TypeError: for an unknown or missing keyword; lists the known ones.

    Example:
        >>> build("maf", features=3, layers=2)
        Traceback (most recent call last):
        TypeError: recipe 'maf' has no keyword 'layers'; it has features, n_layers, hidden, ...
    """
    known = keywords(name)
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise TypeError(
            f"recipe {name!r} has no keyword {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known)}"
        )
    return _RECIPES[name](**arguments)


def list_recipes() -> dict[str, Callable[..., nn.Module]]:
    """All recipes by name.

    Example:
        >>> {"maf", "realnvp"} <= set(list_recipes())
        True
    """
    return dict(_RECIPES)


def _whole(name: str, value: object) -> int:
    """A keyword that is declared an integer, one of numpy's too."""
    if not is_whole(value):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    return int(value)


def _plain(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(arguments))
    except TypeError as error:
        raise TypeError(f"recipe {name!r} takes plain JSON values only: {error}") from error
