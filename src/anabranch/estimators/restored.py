"""Whether the parts of an estimator that was read from a file go together."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from anabranch.distributions.local_components import LocalComponents
from anabranch.estimators.clustering_plan import ClusteringPlan
from anabranch.estimators.coder import CoderPlan
from anabranch.estimators.deep_plan import DeepPlan
from anabranch.estimators.density_plan import DensityPlan
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.flow_vae import FlowVAEPlan
from anabranch.estimators.gaussian_plan import GaussianPlan
from anabranch.estimators.mixture_plan import MixturePlan
from anabranch.estimators.pixel_density import PixelPlan
from anabranch.estimators.rad import RADPlan
from anabranch.estimators.table_columns import MISSING, TableColumns
from anabranch.functional.numbers import is_whole
from anabranch.procedures.product_preparation import ProductPreparation
from anabranch.transforms import Standardize, Support

# Of each estimator, what checks its settings, and the recipe of its model.
PLANS: Mapping[str, tuple[Callable[[Any], Any], str | None]] = {
    "Coder": (CoderPlan.of, None),
    "DeepClustering": (ClusteringPlan.of, None),
    "DeepMixture": (DeepPlan.of, "nvisa"),
    "FlowDensity": (DensityPlan.of, "flow_density"),
    "FlowGMM": (MixturePlan.of, "flow_mixture"),
    "FlowMixture": (MixturePlan.of, "flow_mixture"),
    "FlowVAE": (FlowVAEPlan.of, "flow_vae"),
    "GaussianMixture": (GaussianPlan.of, None),
    "NeuralPosterior": (DensityPlan.of, "flow_density"),
    "PixelDensity": (PixelPlan.of, None),
    "RAD": (RADPlan.of, "rad"),
}


def check_restored(estimator: Estimator) -> None:
    """Refuse what no fit could have left: each part may be well formed, and not fit the others.

    Raises:
        ValueError: says which part, and what was expected.
    """
    found: dict[str, Any] = vars(estimator)
    plan_of, recipe = PLANS[type(estimator).__name__]
    with warnings.catch_warnings(action="ignore"):
        plan = plan_of(estimator)
    n_features, n_components = estimator.n_features_in_, found.get("n_components_", 0)
    if isinstance(plan, ClusteringPlan):
        _check_clusters(found)
    if isinstance(estimator, TableColumns):
        _expect("columns", estimator.is_table == (estimator.coding_ is not None))
        _expect("missing", estimator.missing in MISSING)
    _check_names("feature_names", found.get("feature_names_in_"), n_features)
    _check_names("context_names", estimator.context_names, estimator.context_size)
    if "model_" in found:
        name = plan.method.recipe if isinstance(plan, ClusteringPlan) else recipe
        preparation = found.get("preparation_")
        if isinstance(preparation, ProductPreparation):
            name = "product_density" if name == "flow_density" else name
            coding = found.get("coding_")
            n_real = n_features if coding is None else len(coding.reals)
            _expect("layout", preparation.layout.n_real == n_real, f"{n_real} columns")
            blocks = [list(block) for block in preparation.layout.blocks]
            own = [list(block) for block in found["model_"].recipe["arguments"]["blocks"]]
            _expect("layout", own == blocks, f"the spaces {own}")
        name = plan.recipe_name if isinstance(plan, PixelPlan | CoderPlan) else name
        _check_model(estimator, found, name)
        if "preparation_" in found:
            _check_preparation(found["preparation_"].transform)
        if (conditions := found.get("conditions_")) is not None:
            _check_preparation(conditions.scale)
    if (integer := found.get("integer_")) is not None:
        parts = LocalComponents.of(found["model_"])
        _expect("integer", integer.event_shape == parts.network.event_shape)
        _expect("integer", integer.levels == parts.network.levels == found["levels"])
        _expect("integer", integer.n_components == len(parts.embeddings) == found["n_components"])
    for result in found.get("fit_results_", {}).values():
        _expect("history", result.history)
    if (mixture := found.get("mixture_")) is not None:
        check_restored(mixture)
    for name, shape in _shapes(estimator, n_features, n_components):
        _check_array(name, found[name], shape)
    if (labels := found.get("start_labels_")) is not None:
        rows = found.get("train_rows_", labels)
        _expect("start_labels", labels.shape == rows.shape and labels.max(initial=0) < n_components)
    if (parameters := found.get("parameters_")) is not None:
        size = estimator.model_features
        _check_array("covariances", parameters.covariances, (n_components, size, size))
        np.linalg.cholesky(parameters.covariances)
        _expect("weights", (parameters.weights >= 0).all())


def _shapes(
    estimator: Estimator, n_features: int, n_components: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The arrays that it has beside its model, and the shapes that they must have."""
    found: dict[str, Any] = vars(estimator)
    shapes = {
        "constant_": (n_features,),
        "weights_": (n_components,),
        "means_": (n_components, estimator.model_features),
        "codes_": (n_components, getattr(estimator, "n_folds", 0)),
    }
    yield from ((name, shape) for name, shape in shapes.items() if name in found)


def _check_model(estimator: Estimator, found: Mapping[str, Any], name: str | None) -> None:
    model = found["model_"]
    arguments = model.recipe["arguments"]
    _expect("model", model.recipe["name"] == name, f"the recipe {name!r}")
    size = arguments["features"] if "features" in arguments else prod(arguments["image_shape"])
    _expect("features", size == estimator.model_features, "one a column")
    _expect("levels", arguments.get("levels", estimator.levels) == estimator.levels)
    _expect("context", arguments.get("context_features", 0) == estimator.context_size)
    if "n_components_" in found:
        own = getattr(model, "n_components", found["n_components_"])
        _expect("n_components", own == found["n_components_"])
    own = {key: tensor.shape for key, tensor in model.state_dict().items()}
    for step, state in found.get("snapshots_", ()):
        same = {key: tensor.shape for key, tensor in state.items()} == own
        _expect("snapshots", isinstance(step, int) and same, "states of the model")


def _check_clusters(found: Mapping[str, Any]) -> None:
    """K of a clustering, whose model may have found fewer: memory goes by it."""
    numbers = sum(tensor.numel() for tensor in found["model_"].state_dict().values())
    k = found["n_components_"]
    _expect("n_components", is_whole(k) and 0 < int(k) <= numbers, f"a number in 1..{numbers}")


def _check_preparation(transform: nn.Module) -> None:
    for name, tensor in transform.state_dict().items():
        _expect(name, not tensor.isnan().any())
    for part in transform.modules():
        if isinstance(part, Standardize):
            _expect("loc", part.loc.isfinite().all(), "finite numbers")
            _expect("scale", part.scale.isfinite().all() and (part.scale > 0).all(), "positive")
        if isinstance(part, Support):
            _expect("support", (part.lower < part.upper).all(), "bounds in their order")


def _check_names(name: str, names: Sequence[object] | None, size: int) -> None:
    if names is not None:
        texts = all(isinstance(text, str) for text in names)
        _expect(name, texts and len(names) == size, f"{size} texts")


def _check_array(name: str, array: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    _expect(name, array.shape == shape, f"the shape {shape}, got {array.shape}")
    _expect(name, bool(np.isfinite(array).all()), "finite numbers")


def _expect(name: str, holds: object, expected: str = "what goes with the rest") -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}")
