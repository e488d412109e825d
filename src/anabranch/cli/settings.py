"""Settings given as KEY=VALUE."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def parse_settings(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE, where VALUE is JSON, or else text.

    Raises:
        typer.BadParameter: for a text without a key or with a broken list, and a key given twice.

    Example:
        >>> parse_settings("--set", ["n_init=3", "hidden=[8, 8]", "activation=relu"])
        {'n_init': 3, 'hidden': [8, 8], 'activation': 'relu'}
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise typer.BadParameter(f"{option} {text}: expected KEY=VALUE")
        if key in settings:
            raise typer.BadParameter(f"{option}: {key} is given twice")
        settings[key] = _parse(f"{option} {key}", value)
    return settings


def _parse(place: str, value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        if value[:1] in ("[", "{", '"'):
            raise typer.BadParameter(f"{place}: {value} is not JSON: {error}") from error
        return value


def merge_settings(named: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Join options of their own, those that are not None, with the pairs of --set.

    Raises:
        typer.BadParameter: where both give the same parameter.

    Example:
        >>> merge_settings({"n_init": None, "levels": 2}, {"n_init": 3})
        {'levels': 2, 'n_init': 3}
    """
    given = {key: value for key, value in named.items() if value is not None}
    for key in further:
        if key in given:
            raise typer.BadParameter(f"--set {key}: it is given by an option of its own, too")
    return given | dict(further)


def check_parameters(function: Any, settings: Mapping[str, Any]) -> None:
    """Refuse keywords that a function does not have.

    Raises:
        TypeError: naming them and those that there are.
    """
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise TypeError(
            f"{function.__name__} has no parameter {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known)}"
        )
