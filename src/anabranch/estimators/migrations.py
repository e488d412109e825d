"""Trees of model files of earlier formats, as this version writes them.

A format is a number in the header of a file, see `anabranch.archive`. ``MIGRATIONS[n]`` takes the
tree of format n to format n + 1; reading a file runs all that it lacks. Whoever renames a recipe,
or takes an argument out of one, adds a line to the table of the format that was last released.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from anabranch.estimators.estimator import Estimator, State
from anabranch.estimators.groups import migrated

Classes: TypeAlias = Mapping[str, type[Estimator]]


class Moved(NamedTuple):
    """What has become of a recipe.

    Attributes:
        name: of the recipe now.
        without: arguments that were settings of training, and are no part of the model any more.
        renamed: arguments that have another name, and how their value is said today.
        without_state: beginnings of the names of tensors that served training alone.
    """

    name: str
    without: tuple[str, ...] = ()
    renamed: Mapping[str, tuple[str, Callable[[Any], Any]]] = {}
    without_state: tuple[str, ...] = ()


def _positive(weight: float) -> bool:
    return weight > 0


# recipes of format 1, which anabranch 0.1.0 wrote
RECIPES_1 = {
    "autoencoder": Moved("autoencoder", without=("corruption",)),
    "dec": Moved("dec", renamed={"reconstruction": ("decoder", _positive)}),
    "flow_mixture": Moved(
        "flow_mixture",
        without=(
            *("inference", "perturbation", "consistency", "balance"),
            *("label_weight", "pseudo_labels"),
        ),
        without_state=("ramp",),
    ),
    "gmvae": Moved(
        "nvisa",
        without=(
            *("objective", "samples", "reparameterized", "baseline", "temperature"),
            *("inference", "perturbation", "consistency", "balance", "label_weight"),
            "half_precision",
        ),
        without_state=("baseline.", "spread"),
    ),
    "hierarchical_gmvae": Moved("gmvae", without=("information", "entropy")),
    "mixae": Moved("mixae", without=("certainty", "balance"), without_state=("certainty", "unit")),
}

# settings that only some methods use, at what they were where nobody had set them
USUAL_1 = {
    "DeepClustering": {
        "alpha": 1.0,
        "reconstruction": 10.0,
        "refresh": 140,
        "tol": 1e-3,
        "covariance_type": "full",
        "n_init": 10,
    },
}


def from_1(tree: State, classes: Classes) -> State:
    """Format 1 has the settings, the parts of the model, and all other results side by side.

    Example:
        >>> tree = {"recipe": {"name": "gmvae", "arguments": {"samples": 5}}, "state": {}}
        >>> from_1(tree, {})["model"]["recipe"]
        {'name': 'nvisa', 'arguments': {}}
    """
    if "estimator" not in tree:
        return {"model": _model_1(tree)}
    state = {key: value for key, value in tree.items() if key not in ("estimator", "params")}
    if "recipe" in state:
        model = {key: state.pop(key) for key in ("recipe", "state", "frozen") if key in state}
        state["model"] = _model_1(model)
    if state.get("mixture") is not None:  # of the codes, in a DeepClustering
        inner = from_1(state["mixture"], classes)
        state["mixture"] = {"settings": inner["settings"], "state": inner["state"]}
    usual = USUAL_1.get(tree["estimator"], {})
    given = {key: value for key, value in tree["params"].items() if usual.get(key, []) != value}
    settings = migrated(classes[tree["estimator"]], given)
    return {"estimator": tree["estimator"], "settings": settings, "state": state}


def _model_1(model: State) -> State:
    recipe = model["recipe"]
    moved = RECIPES_1.get(recipe["name"], Moved(recipe["name"]))
    arguments = {}
    for key, value in recipe["arguments"].items():
        if key in moved.renamed:
            name, said = moved.renamed[key]
            arguments[name] = said(value)
        elif key not in moved.without:
            arguments[key] = value
    state = {k: v for k, v in model["state"].items() if not k.startswith(moved.without_state)}
    return {
        "recipe": {"name": moved.name, "arguments": arguments},
        "state": state,
        "frozen": model.get("frozen", []),
    }


MIGRATIONS: Mapping[int, Callable[[State, Classes], State]] = {1: from_1}
