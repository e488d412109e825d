"""Model files: estimators and recipes, saved and loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from anabranch.archive import ArchiveError, read_archive, write_archive
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.preparation import Preparation
from anabranch.models import build
from anabranch.training import FitResult

ESTIMATORS = {"FlowMixture": FlowMixture}


def save(model: Any, path: str | Path) -> None:
    """Write a fitted estimator or a model built by a recipe to one safetensors file.

    Args:
        model: a fitted `FlowMixture`, or a module that a recipe built.
        path: the file; written whole or not at all.

    Raises:
        TypeError: for anything else, or settings that are not plain JSON values.
        OSError: where the file cannot be written.

    Example:
        >>> import tempfile
        >>> from anabranch.models import realnvp
        >>> path = Path(tempfile.mkdtemp()) / "flow.safetensors"
        >>> flow = realnvp(2, n_layers=2, seed=0)
        >>> save(flow, path)
        >>> x = torch.zeros(1, 2)
        >>> bool(load(path).log_prob(x) == flow.log_prob(x))
        True
    """
    if isinstance(model, FlowMixture):
        tree = _estimator_tree(model)
    elif isinstance(model, nn.Module) and hasattr(model, "recipe"):
        tree = {"recipe": model.recipe, "state": dict(model.state_dict())}
    else:
        raise TypeError(
            f"can save fitted estimators and modules built by a recipe, got {type(model).__name__}"
        )
    write_archive(path, "model", tree)


def load(path: str | Path) -> Any:
    """Read what `save` wrote. No code of the file is run.

    Raises:
        FileNotFoundError: where there is no such file.
        ArchiveError: for a file that is damaged, foreign, or of a newer format.
    """
    tree = read_archive(path, "model")
    try:
        return _restore_estimator(tree) if "estimator" in tree else _restore_module(tree)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ArchiveError(f"{path} does not fit this version of anabranch: {error}") from error


def _restore_module(tree: dict[str, Any]) -> nn.Module:
    model = build(tree["recipe"]["name"], **tree["recipe"]["arguments"])
    model.load_state_dict(tree["state"])
    return model.eval()


def _estimator_tree(estimator: FlowMixture) -> dict[str, Any]:
    if not hasattr(estimator, "model_"):
        raise TypeError("the estimator is not fitted yet: call fit before saving it")
    return {
        "estimator": type(estimator).__name__,
        "params": _plain(estimator.get_params(deep=False)),
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "frozen": [n for n, p in estimator.model_.named_parameters() if not p.requires_grad],
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "constant": torch.as_tensor(estimator.constant_),
        "feature_names": _plain(getattr(estimator, "feature_names_in_", None)),
        "start": estimator.start_,
        "result": dict(vars(estimator.fit_result_)),
    }


def _restore_estimator(tree: dict[str, Any]) -> FlowMixture:
    estimator = ESTIMATORS[tree["estimator"]](**tree["params"])
    estimator.device = "cpu"
    model = build(tree["recipe"]["name"], **tree["recipe"]["arguments"])
    model.load_state_dict(tree["state"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in tree["frozen"])
    arguments = tree["recipe"]["arguments"]
    columns = {"n_features_in_": arguments["features"]}
    if tree["feature_names"] is not None:
        columns["feature_names_in_"] = np.asarray(tree["feature_names"], dtype=object)
    vars(estimator).update(columns)
    estimator.constant_ = tree["constant"].numpy()
    estimator.preparation_ = Preparation.empty(
        arguments["features"], levels=estimator.levels, alpha=estimator.logit_alpha
    )
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    estimator._keep(
        tree["start"],
        model,  # pyright: ignore[reportArgumentType]
        FitResult(**tree["result"]),
        n_components=arguments["n_components"],
    )
    return estimator


def _plain(value: Any) -> Any:
    """Settings as JSON values: arrays and tuples become lists, numpy numbers Python ones."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return None  # its state is spent; the fitted model does not need it
    if isinstance(value, Path):
        return str(value)
    return value
