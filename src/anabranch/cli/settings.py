"""Settings given as KEY=VALUE."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from anabranch.estimators.estimator import Estimator


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

    Keys with dots lead into groups.

    Raises:
        typer.BadParameter: where the same parameter is given twice, or whole and in part.

    Example:
        >>> merge_settings({"n_init": None, "levels": 2}, {"n_init": 3, "temperature.decay": 0.5})
        {'levels': 2, 'n_init': 3, 'temperature': {'decay': 0.5}}
    """
    given = {key: value for key, value in named.items() if value is not None}
    for key in further:
        if key in given:
            raise typer.BadParameter(f"--set {key}: it is given by an option of its own, too")
    nested: dict[str, Any] = {}
    for key, value in {**given, **further}.items():
        put(nested, key, value)
    return nested


def put(settings: dict[str, Any], key: str, value: Any) -> None:
    """Set what a key with dots leads to, in place.

    Raises:
        typer.BadParameter: where it, or what it is a part of, has a value already.
    """
    *groups, last = key.split(".")
    node = settings
    for group in groups:
        node = node.setdefault(group, {})
        if not isinstance(node, dict):
            raise typer.BadParameter(f"--set {key}: {group} is given as a whole, too")
    present = node.setdefault(last, {}) if isinstance(value, dict) else node.get(last)
    if present is None and last not in node:
        node[last] = value
    elif isinstance(present, dict) and isinstance(value, dict) and not set(present) & set(value):
        present.update(value)  # the parts of a group may be given in any number of pieces
    else:
        raise typer.BadParameter(f"--set {key}: a part of it is given, too")


def is_set(settings: Mapping[str, Any], key: str) -> bool:
    """Whether what a key with dots leads to has a value.

    Example:
        >>> is_set({"temperature": {"decay": 0.5}}, "temperature.decay"), is_set({}, "n_init")
        (True, False)
    """
    group, _, rest = key.partition(".")
    inner = settings.get(group)
    return group in settings and (not rest or (isinstance(inner, Mapping) and is_set(inner, rest)))


def place(estimator: "type[Estimator]", option: str) -> str | None:
    """Where an estimator has the setting of an option, as a key with dots; None for nowhere.

    That is the parameter of its name, or the one in a group; a plain value for a group is the
    first setting within.

    Example:
        >>> from anabranch import FlowDensity
        >>> place(FlowDensity, "n_init"), place(FlowDensity, "n_components")
        ('n_init', None)
    """
    from anabranch.estimators.groups import defaults

    keys = {group: list(defaults(kind)) for group, kind in estimator.groups.items()}
    if option in inspect.signature(estimator).parameters:
        return f"{option}.{keys[option][0]}" if keys.get(option) else option
    within = next((f"{group}.{option}" for group in keys if option in keys[group]), None)
    # a group with any keys, such as fit_options, lists none: the old name tells
    return within or estimator.old_names.get(option, "").replace("__", ".") or None


def check_parameters(estimator: "type[Estimator]", settings: Mapping[str, Any]) -> None:
    """Refuse settings that an estimator does not have.

    Raises:
        TypeError: naming them and those that there are.
    """
    known = list(inspect.signature(estimator).parameters)
    unknown = [key for key in settings if key not in known and key not in estimator.old_names]
    if unknown:
        raise TypeError(
            f"{estimator.__name__} has no parameter {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known)}"
        )


def check_recipes(name: str, spec: Any) -> None:
    """Find out at once, not after the search for a start, that no recipe takes these keywords.

    Nothing is built: a number that is too small, say, is refused later.

    Raises:
        ValueError: for an unknown recipe.
        TypeError: for an unknown keyword, or no number where one belongs.

    Example:
        >>> check_recipes("flow", ["maf", None, {"name": "nsf", "layers": 2}])
        Traceback (most recent call last):
        TypeError: flow {"name": "nsf", "layers": 2}: recipe 'nsf' has no keyword 'layers'; ...
    """
    for part in spec if isinstance(spec, list) else [spec]:
        if part is None:  # a Gaussian
            continue
        try:
            _check_recipe(name, part)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} {json.dumps(part)}: {error}") from error


def _check_recipe(name: str, spec: Any) -> None:
    from anabranch.models.registry import keywords, list_recipes
    from anabranch.models.specs import split_spec

    recipe, given = split_spec(name, spec)
    known = keywords(recipe)
    if unknown := [key for key in given if key not in known]:
        raise TypeError(
            f"recipe {recipe!r} has no keyword {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known)}"
        )
    parameters = inspect.signature(list_recipes()[recipe]).parameters
    for key, value in given.items():
        usual = parameters[key].default
        if isinstance(usual, int | float) and isinstance(value, str | list | dict):
            raise TypeError(f"{key} must be a number such as {usual}, got {value!r}")
