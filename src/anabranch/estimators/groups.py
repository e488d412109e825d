"""Groups of rare settings: one dict each, whose keys scikit-learn's nested names reach."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from typing import ClassVar, Concatenate, ParamSpec, Self, TypeVar

from sklearn.base import BaseEstimator

Group = Mapping[str, object]
P = ParamSpec("P")
Kind = TypeVar("Kind")
Owner = TypeVar("Owner", bound="GroupedSettings")


class GroupedSettings(BaseEstimator):
    """An estimator some of whose settings are groups: dicts, or None for the defaults.

    ``estimator.set_params(temperature__decay=1e-2)`` reaches into the group ``temperature``, and so
    does a grid search.

    Attributes:
        groups: the class of each group, a frozen dataclass with its settings, their defaults and
            checks; or ``dict`` for one with any keys, such as the keywords of a recipe.
        old_names: settings of earlier versions, and where they are now: "temperature_decay":
            "temperature__decay". They are accepted, with a warning. One whose name is that of its
            group ("consistency": "consistency__weight") is a number where there is a dict today.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Temperature:
        ...     decay: float = 1e-3
        ...     floor: float = 1e-2
        >>> class Model(GroupedSettings):
        ...     groups = {"temperature": Temperature}
        ...     def __init__(self, *, temperature=None):
        ...         self.temperature = temperature
        >>> model = Model(temperature={"floor": 0.1}).set_params(temperature__decay=0.5)
        >>> model.temperature
        {'floor': 0.1, 'decay': 0.5}
        >>> Model().get_params()
        {'temperature': None, 'temperature__decay': 0.001, 'temperature__floor': 0.01}
        >>> Model().set_params(temperature__rate=1)
        Traceback (most recent call last):
        ValueError: temperature has no 'rate': it takes decay, floor
    """

    groups: ClassVar[Mapping[str, type]] = {}
    old_names: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def current_value(cls, name: str, value: object) -> object:
        """What an old setting says today, where it says it in other words."""
        return value

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """The settings by name; where deep, those within the groups, too."""
        params: dict[str, object] = super().get_params(deep=deep)
        for name, kind in self.groups.items() if deep else ():
            settings = defaults(kind) | within(type(self), name, getattr(self, name))
            params |= {f"{name}__{key}": value for key, value in settings.items()}
        return params

    def set_params(self, **params: object) -> Self:
        """Set settings by name, those within a group as ``group__key``.

        Raises:
            ValueError: for a setting that there is not.
        """
        params = current_names(type(self), params)
        plain, nested = _split(params, self.groups)
        for name, changes in nested.items():
            _check_keys(name, changes, self.groups[name])
            if isinstance(getattr(self, name), list | tuple):
                raise ValueError(
                    f"{name} is a list: set all of it, not {name}__{next(iter(changes))}"
                )
        super().set_params(**plain)
        for name, changes in nested.items():
            setattr(self, name, {**within(type(self), name, getattr(self, name)), **changes})
        return self


def accepts_old_names(
    init: Callable[Concatenate[Owner, P], None],
) -> Callable[Concatenate[Owner, P], None]:
    """A constructor that still takes the class's ``old_names``.

    Example:
        >>> class Model(GroupedSettings):
        ...     groups = {"temperature": dict}
        ...     old_names = {"temperature_decay": "temperature__decay"}
        ...     @accepts_old_names
        ...     def __init__(self, *, temperature=None):
        ...         self.temperature = temperature
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     Model(temperature_decay=0.5).temperature
        {'decay': 0.5}
        >>> str(caught[0].message)
        "temperature_decay=0.5 is now temperature={'decay': 0.5}: the old name goes with ..."
    """

    @wraps(init)
    def renamed(self: Owner, *args: P.args, **settings: P.kwargs) -> None:
        plain, nested = _split(current_names(type(self), settings), self.groups)
        for name, changes in nested.items():
            # a group that was its first setting may stand beside the others under their old names
            plain[name] = {**within(type(self), name, plain.get(name)), **changes}
        init(self, *args, **plain)  # pyright: ignore[reportCallIssue]

    return renamed


def read_group(name: str, given: object, kind: type[Kind], *, old: str | None = None) -> Kind:
    """A group as an object of its class, which checks it.

    Args:
        name: of the group.
        given: a dict, or None for the defaults.
        kind: the class.
        old: the key that a plain value stands for, as it did in earlier versions.

    Raises:
        ValueError: naming the group and the setting.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Temperature:
        ...     decay: float = 1e-3
        >>> read_group("temperature", {"decay": 0.5}, Temperature)
        Temperature(decay=0.5)
        >>> read_group("temperature", 3, Temperature)
        Traceback (most recent call last):
        ValueError: temperature must be a dict with some of decay, or None, got 3
    """
    if given is None:
        return kind()
    if not isinstance(given, Mapping):
        if old is None or not isinstance(given, float | int | str):
            known = ", ".join(defaults(kind))
            raise ValueError(f"{name} must be a dict with some of {known}, or None, got {given!r}")
        _warn_old(name, given, f"{name}={{{old!r}: {given!r}}}")
        given = {old: given}
    _check_keys(name, given, kind)
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from error


def within(cls: type[GroupedSettings], name: str, value: object) -> dict[str, object]:
    """What the user set of a group: a dict, its first setting alone, or a recipe's name.

    Example:
        >>> class Model(GroupedSettings):
        ...     groups = {"flow": dict}
        >>> within(Model, "flow", "maf"), within(Model, "flow", None)
        ({'name': 'maf'}, {})
    """
    if isinstance(value, Mapping):
        return dict(value)
    group, _, first = cls.old_names.get(name, "").partition("__")
    if value is not None and group == name:
        return {first: value}
    return {"name": value} if isinstance(value, str) and cls.groups[name] is dict else {}


def current_names(cls: type[GroupedSettings], settings: Group) -> dict[str, object]:
    """Settings with their names of today, nested ones as ``group__key``; warns of old ones."""
    current: dict[str, object] = {}
    for name, value in settings.items():
        new = cls.old_names.get(name, name)
        group, _, key = new.partition("__")
        if group != name and new != name:
            said = cls.current_value(name, value)
            _warn_old(name, value, f"{group}={{{key!r}: {said!r}}}" if key else f"{group}={said!r}")
            current[new] = said
        else:
            current[name] = value
    return current


def migrated(cls: type[GroupedSettings], settings: Group) -> dict[str, object]:
    """Settings that an earlier version wrote to a file, as they are given today, without a warning.

    What was at its default is left out of the groups.

    Example:
        >>> class Model(GroupedSettings):
        ...     groups = {"temperature": dict}
        ...     old_names = {"temperature_decay": "temperature__decay"}
        >>> migrated(Model, {"verbose": 1, "temperature_decay": 0.5})
        {'verbose': 1, 'temperature': {'decay': 0.5}}
    """
    current: dict[str, object] = {}
    for name, value in settings.items():
        group, _, key = cls.old_names.get(name, name).partition("__")
        if (isinstance(value, Mapping) and group == name) or not key:
            current[group] = cls.current_value(name, value)
            continue
        given = within(cls, group, current.get(group))
        usual = defaults(cls.groups[group])
        if value is not None if key not in usual else usual[key] != value:
            given[key] = value
        current[group] = given or None
    return current


def defaults(kind: type) -> dict[str, object]:
    """The settings of a group, at their defaults; none for a group with any keys."""
    if kind is dict:
        return {}
    found: dict[str, object] = {}
    for field in fields(kind):
        made = field.default if field.default_factory is MISSING else field.default_factory()
        found[field.name] = made
    return found


def _split(
    settings: Group, groups: Mapping[str, type]
) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Settings that stand alone, and those within groups."""
    plain: dict[str, object] = {}
    nested: dict[str, dict[str, object]] = {}
    for name, value in settings.items():
        group, _, key = name.partition("__")
        if key and group in groups:
            nested.setdefault(group, {})[key] = value
        else:
            plain[name] = value
    return plain, nested


def _check_keys(name: str, given: Group, kind: type) -> None:
    known = defaults(kind)
    for key in given:
        if kind is not dict and key not in known:
            raise ValueError(f"{name} has no {key!r}: it takes {', '.join(known)}")


def _warn_old(old: str, value: object, new: str) -> None:
    warnings.warn(
        f"{old}={value!r} is now {new}: the old name goes with version 0.3",
        FutureWarning,
        stacklevel=4,
    )
