"""The settings that make a fit this one and no other, for its checkpoints."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from sklearn.base import BaseEstimator

from anabranch.estimators.groups import GroupedSettings, read_group
from anabranch.models import list_recipes

# What changes no step, and what every checkpoint holds in another form.
FREE = ("device", "fit_options", "random_state", "start", "verbose")
# Settings that are those of the loop.
LOOP = ("learning_rate", "weight_decay", "batch_size", "max_epochs", "patience")
# Settings that name a recipe, whose keywords have defaults.
SPECS = ("flow", "prior", "trunk")


def loop_identity(estimator: GroupedSettings) -> dict[str, object]:
    """The settings of an estimator that the loop does not know; none where nothing is kept."""
    options = estimator.get_params(deep=False)["fit_options"]
    if not isinstance(options, Mapping) or options.get("checkpoint") is None:
        return {}
    settings = settings_identity(estimator) | {"keep": options.get("keep", "best")}
    return {name: value for name, value in settings.items() if name not in LOOP}


def settings_identity(estimator: GroupedSettings) -> dict[str, object]:
    """The settings of an estimator as plain values, groups and recipes with their defaults.

    Example:
        >>> from anabranch import FlowMixture
        >>> estimator = FlowMixture(2, flow={"name": "nice", "hidden": [8]})
        >>> settings_identity(estimator)["flow"]
        {'name': 'nice', 'n_layers': 4, 'hidden': [8], ...}
    """
    found: dict[str, object] = {}
    for name, value in estimator.get_params(deep=False).items():
        kind = type(estimator).groups.get(name, dict)
        if name in FREE:
            continue
        if kind is not dict:
            group, _, first = type(estimator).old_names.get(name, "").partition("__")
            value = asdict(read_group(name, value, kind, old=first if group == name else None))
        found[name] = _plain(name, value)
    return found


def _plain(name: str, value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, BaseEstimator):
        return type(value).__name__  # what is taken from it shows in the start of the model
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if name in SPECS and isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        return value if isinstance(value, str | int | float | None) else repr(value)
    value = {str(key): _plain(str(key), item) for key, item in value.items()}
    if name in SPECS and (recipe := list_recipes().get(str(value.get("name")))):
        known = inspect.signature(recipe).parameters.values()
        usual = {p.name: _plain(p.name, p.default) for p in known if p.default is not p.empty}
        value = {"name": recipe.__name__, **usual, **value}
    return value
