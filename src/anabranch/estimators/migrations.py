"""Trees of model files of earlier formats, as this version writes them.

A format is a number in the header of a file, see `anabranch.archive`. ``MIGRATIONS[n]`` takes the
tree of format n to format n + 1; reading a file runs all that it lacks. Whoever renames a recipe,
or takes an argument out of one, adds a line to the table of the format that was last released.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from anabranch.estimators.estimator import State


class Moved(NamedTuple):
    """What has become of a recipe.

    Attributes:
        name: of the recipe now.
        without: arguments that were settings of training, and are no part of the model any more.
        without_state: beginnings of the names of tensors that served training alone.
    """

    name: str
    without: tuple[str, ...] = ()
    without_state: tuple[str, ...] = ()


# recipes of format 1, which anabranch 0.1.0 wrote
RECIPES_1: dict[str, Moved] = {}


def from_1(tree: State) -> State:
    """Format 1 has the settings, the parts of the model, and all other results side by side.

    Example:
        >>> flow = {"recipe": {"name": "maf", "arguments": {"features": 2}}, "state": {}}
        >>> from_1(flow)["model"]["recipe"]["name"]
        'maf'
    """
    if "estimator" not in tree:
        return {"model": _model_1(tree)}
    state = {key: value for key, value in tree.items() if key not in ("estimator", "params")}
    if "recipe" in state:
        model = {key: state.pop(key) for key in ("recipe", "state", "frozen") if key in state}
        state["model"] = _model_1(model)
    if state.get("mixture") is not None:  # of the codes, in a DeepClustering
        inner = from_1(state["mixture"])
        state["mixture"] = {"settings": inner["settings"], "state": inner["state"]}
    return {"estimator": tree["estimator"], "settings": dict(tree["params"]), "state": state}


def _model_1(model: State) -> State:
    recipe = model["recipe"]
    moved = RECIPES_1.get(recipe["name"], Moved(recipe["name"]))
    arguments = {k: v for k, v in recipe["arguments"].items() if k not in moved.without}
    state = {k: v for k, v in model["state"].items() if not k.startswith(moved.without_state)}
    return {
        "recipe": {"name": moved.name, "arguments": arguments},
        "state": state,
        "frozen": model.get("frozen", []),
    }


MIGRATIONS: Mapping[int, Callable[[State], State]] = {1: from_1}
