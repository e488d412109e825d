"""Model files: estimators and recipes, saved and loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.archive import ArchiveError, read_archive, write_archive
from anabranch.estimators.conditions import Conditions
from anabranch.estimators.deep_clustering import DeepClustering
from anabranch.estimators.deep_mixture import DeepMixture
from anabranch.estimators.flow_density import FlowDensity
from anabranch.estimators.flow_gmm import FlowGMM
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.preparation import Preparation
from anabranch.estimators.rad import RAD
from anabranch.estimators.supports import Bounds
from anabranch.models import build
from anabranch.training import FitResult
from anabranch.transforms import Support


def save(model: Any, path: str | Path) -> None:
    """Write a fitted estimator or a model built by a recipe to one safetensors file.

    Args:
        model: a fitted estimator, such as `FlowMixture`, or a module that a recipe built.
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
    if any(type(model) is savable.cls for savable in ESTIMATORS.values()):
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


@dataclass(frozen=True)
class _Savable:
    """How the fitted state of a class becomes a tree, and how a tree is put back."""

    cls: type
    state: Callable[[Any], dict[str, Any]]
    restore: Callable[[Any, dict[str, Any]], None]


def _estimator_tree(estimator: Any) -> dict[str, Any]:
    if not (hasattr(estimator, "n_components_") or hasattr(estimator, "model_")):
        raise TypeError("the estimator is not fitted yet: call fit before saving it")
    name = type(estimator).__name__
    return {
        "estimator": name,
        "params": {**_plain(estimator.get_params(deep=False)), **_spent(estimator)},
        "feature_names": _plain(getattr(estimator, "feature_names_in_", None)),
        **ESTIMATORS[name].state(estimator),
    }


def _restore_estimator(tree: dict[str, Any]) -> Any:
    savable = ESTIMATORS[tree["estimator"]]
    estimator = savable.cls(**tree["params"])
    if tree["feature_names"] is not None:
        estimator.feature_names_in_ = np.asarray(tree["feature_names"], dtype=object)
    savable.restore(estimator, tree)
    return estimator


def _flow_state(estimator: FlowMixture) -> dict[str, Any]:
    return {
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "frozen": [n for n, p in estimator.model_.named_parameters() if not p.requires_grad],
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "constant": torch.as_tensor(estimator.constant_),
        "start": estimator.start_,
        "result": dict(vars(estimator.fit_result_)),
        "snapshots": [{"step": step, "state": state} for step, state in estimator.snapshots_],
    }


def _restore_flow(estimator: FlowMixture, tree: dict[str, Any]) -> None:
    estimator.device = "cpu"
    model = build(tree["recipe"]["name"], **tree["recipe"]["arguments"])
    model.load_state_dict(tree["state"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in tree["frozen"])
    arguments = tree["recipe"]["arguments"]
    estimator.n_features_in_ = arguments["features"]
    estimator.constant_ = tree["constant"].numpy()
    estimator.preparation_ = Preparation.empty(
        arguments["features"], levels=estimator.levels, alpha=estimator._preparing().alpha
    )
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    estimator._keep(
        tree["start"],
        model,  # pyright: ignore[reportArgumentType]
        FitResult(**tree["result"]),
        # files of earlier versions have none
        [(item["step"], item["state"]) for item in tree.get("snapshots", [])],
    )


def _gaussian_state(estimator: GaussianMixture) -> dict[str, Any]:
    parameters = estimator.parameters_
    state = {name: getattr(estimator, name) for name in GAUSSIAN_RESULTS}
    return {
        **state,
        "weights": torch.as_tensor(parameters.weights),
        "means": torch.as_tensor(parameters.means),
        "covariances": torch.as_tensor(parameters.covariances),
        "description_lengths": list(estimator.description_lengths_.items()),
    }


def _restore_gaussian(estimator: GaussianMixture, tree: dict[str, Any]) -> None:
    arrays = (tree[name].numpy() for name in ("weights", "means", "covariances"))
    diagonal = tree["covariance_type_"] in ("diag", "spherical")
    parameters = GaussianParameters(*arrays, diagonal=diagonal)
    estimator.n_features_in_ = parameters.means.shape[1]
    estimator.description_lengths_ = {int(k): length for k, length in tree["description_lengths"]}
    for name in GAUSSIAN_RESULTS:
        setattr(estimator, name, tree[name])
    estimator._set(parameters)


def _rad_state(estimator: RAD) -> dict[str, Any]:
    return {
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "constant": torch.as_tensor(estimator.constant_),
        "codes": torch.as_tensor(estimator.codes_),
        "weights": torch.as_tensor(estimator.weights_),
        "result": dict(vars(estimator.fit_result_)),
    }


def _restore_rad(estimator: RAD, tree: dict[str, Any]) -> None:
    estimator.device = "cpu"
    flow: Any = _restore_module(tree)
    estimator.n_features_in_ = tree["recipe"]["arguments"]["features"]
    estimator.constant_ = tree["constant"].numpy()
    estimator.preparation_ = Preparation.empty(
        estimator.n_features_in_, levels=None, alpha=estimator.logit_alpha
    )
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    estimator._keep(flow, FitResult(**tree["result"]))
    estimator.codes_, estimator.weights_ = tree["codes"].numpy(), tree["weights"].numpy()
    estimator.n_components_ = len(estimator.codes_)


def _density_state(estimator: FlowDensity) -> dict[str, Any]:
    conditions = estimator.conditions_
    return {
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "frozen": [n for n, p in estimator.model_.named_parameters() if not p.requires_grad],
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "constant": torch.as_tensor(estimator.constant_),
        "context": None if conditions is None else dict(conditions.scale.state_dict()),
        "context_names": None if conditions is None else conditions.names,
        "result": dict(vars(estimator.fit_result_)),
    }


def _restore_density(estimator: FlowDensity, tree: dict[str, Any]) -> None:
    estimator.device = "cpu"
    flow: Any = _restore_module(tree)
    for name, parameter in flow.named_parameters():
        parameter.requires_grad_(name not in tree["frozen"])
    arguments = tree["recipe"]["arguments"]
    n_features = estimator.n_features_in_ = arguments["features"]
    estimator.constant_ = tree["constant"].numpy()
    support = None
    if estimator.support is not None:
        free = [-np.inf] * n_features, [np.inf] * n_features
        support = Support(*free, dtype=torch.float64).eval()
    estimator.preparation_ = Preparation.empty(
        n_features, levels=estimator.levels, alpha=estimator.logit_alpha, support=support
    )
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    estimator.bounds_ = None if support is None else Bounds.of(support)
    estimator.conditions_ = None
    if tree["context"] is not None:
        estimator.conditions_ = Conditions.empty(
            arguments["context_features"], tree["context_names"]
        )
        estimator.conditions_.scale.load_state_dict(tree["context"])
    estimator._keep(flow, FitResult(**tree["result"]))


def _deep_clustering_state(estimator: DeepClustering) -> dict[str, Any]:
    mixture = estimator.mixture_
    return {
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "mixture": None if mixture is None else _estimator_tree(mixture),
        "results": {name: dict(vars(result)) for name, result in estimator.fit_results_.items()},
    }


def _restore_deep_clustering(estimator: DeepClustering, tree: dict[str, Any]) -> None:
    estimator.device = "cpu"
    n_features = estimator.n_features_in_ = tree["recipe"]["arguments"]["features"]
    estimator.preparation_ = Preparation.empty(n_features, levels=estimator.levels, alpha=1e-6)
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    mixture = None if tree["mixture"] is None else _restore_estimator(tree["mixture"])
    results = {name: FitResult(**result) for name, result in tree["results"].items()}
    estimator._keep(_restore_module(tree), mixture, results)


def _deep_state(estimator: DeepMixture) -> dict[str, Any]:
    labels = estimator.start_labels_
    return {
        "recipe": estimator.model_.recipe,
        "state": dict(estimator.model_.state_dict()),
        "preparation": dict(estimator.preparation_.transform.state_dict()),
        "constant": torch.as_tensor(estimator.constant_),
        "start_labels": None if labels is None else torch.as_tensor(labels),
        "train_rows": torch.as_tensor(estimator.train_rows_),
        "result": dict(vars(estimator.fit_result_)),
    }


def _restore_deep(estimator: DeepMixture, tree: dict[str, Any]) -> None:
    estimator.device = "cpu"
    model: Any = _restore_module(tree)
    estimator.n_features_in_ = tree["recipe"]["arguments"]["features"]
    estimator.constant_ = tree["constant"].numpy()
    estimator.preparation_ = estimator._blank_preparation(estimator.n_features_in_)
    estimator.preparation_.transform.load_state_dict(tree["preparation"])
    labels = tree["start_labels"]
    labels = None if labels is None else labels.numpy()
    estimator._keep(model, FitResult(**tree["result"]), labels)
    estimator.train_rows_ = tree["train_rows"].numpy()


GAUSSIAN_RESULTS = ("covariance_type_", "lower_bound_", "lower_bounds_", "converged_", "n_iter_")
ESTIMATORS = {
    "DeepClustering": _Savable(DeepClustering, _deep_clustering_state, _restore_deep_clustering),
    "DeepMixture": _Savable(DeepMixture, _deep_state, _restore_deep),
    "FlowDensity": _Savable(FlowDensity, _density_state, _restore_density),
    "FlowGMM": _Savable(FlowGMM, _flow_state, _restore_flow),
    "FlowMixture": _Savable(FlowMixture, _flow_state, _restore_flow),
    "GaussianMixture": _Savable(GaussianMixture, _gaussian_state, _restore_gaussian),
    "RAD": _Savable(RAD, _rad_state, _restore_rad),
}


def _spent(estimator: BaseEstimator) -> dict[str, None]:
    """What a fitted model does not need: what its fit has started from."""
    return {name: None for name in ("start",) if name in estimator.get_params(deep=False)}


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
    if isinstance(value, BaseEstimator):
        return None  # what was taken from it is in the model
    if isinstance(value, Path):
        return str(value)
    return value
