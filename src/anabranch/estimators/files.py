"""Model files: estimators and recipes, saved and loaded."""

from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import nn

from anabranch.archive import Header, ModelFileError, open_archive, write_archive
from anabranch.estimators.coder import Coder
from anabranch.estimators.deep_clustering import DeepClustering
from anabranch.estimators.deep_mixture import DeepMixture
from anabranch.estimators.estimator import Estimator, Json, State
from anabranch.estimators.fitted import module_facts, module_from, module_state
from anabranch.estimators.flow_density import FlowDensity
from anabranch.estimators.flow_gmm import FlowGMM
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.flow_vae import FlowVAE
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.migrations import MIGRATIONS
from anabranch.estimators.neural_posterior import NeuralPosterior
from anabranch.estimators.pixel_density import PixelDensity
from anabranch.estimators.rad import RAD
from anabranch.estimators.restored import check_restored

ESTIMATORS: dict[str, type[Estimator]] = {
    "Coder": Coder,
    "DeepClustering": DeepClustering,
    "DeepMixture": DeepMixture,
    "FlowDensity": FlowDensity,
    "FlowGMM": FlowGMM,
    "FlowMixture": FlowMixture,
    "FlowVAE": FlowVAE,
    "GaussianMixture": GaussianMixture,
    "NeuralPosterior": NeuralPosterior,
    "PixelDensity": PixelDensity,
    "RAD": RAD,
}


def save(model: Estimator | nn.Module, path: str | Path) -> None:
    """Write a fitted estimator or a model built by a recipe to one safetensors file.

    Args:
        model: a fitted estimator, such as `FlowMixture`, or a module that a recipe built.
        path: the file; written whole or not at all.

    Raises:
        TypeError: for anything else, or settings that are not plain JSON values.
        OSError: where the file cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from anabranch.models import realnvp
        >>> path = Path(tempfile.mkdtemp()) / "flow.safetensors"
        >>> flow = realnvp(2, n_layers=2, seed=0)
        >>> save(flow, path)
        >>> x = torch.zeros(1, 2)
        >>> bool(load(path).log_prob(x) == flow.log_prob(x))
        True
    """
    tree: dict[str, Any]
    if type(model) in ESTIMATORS.values():
        tree = _estimator_tree(model)
    elif isinstance(model, nn.Module) and "recipe" in vars(model):
        tree = {"model": module_state(model)}
    else:
        raise TypeError(
            f"can save fitted estimators and modules built by a recipe, got {type(model).__name__}"
        )
    write_archive(path, "model", tree)


def load(path: str | Path) -> Any:
    """Read what `save` wrote, in this version or an earlier one. No code of the file is run.

    Raises:
        FileNotFoundError: where there is no such file.
        ModelFileError: for a file that is damaged, foreign, or of a newer format.
    """
    return _restored(path, _read(path)[1])


def load_estimator(path: str | Path) -> Estimator:
    """Read a file that holds a fitted estimator.

    Raises:
        FileNotFoundError, ModelFileError: as for `load`.
        ValueError: for a file of a module alone.
    """
    tree = _read(path)[1]
    if "estimator" not in tree:
        name = _restored(path, tree).recipe["name"]
        raise ValueError(
            f"{path} holds a {name!r} alone, which is no estimator with densities; this "
            "command needs a FlowMixture, as anabranch fit writes it, or another of these"
        )
    return _restored(path, tree)


def describe(path: str | Path) -> dict[str, Json]:
    """What there is to know of a model file: of its fit, its settings, and who wrote it.

    Raises:
        FileNotFoundError, ModelFileError: as for `load`.
    """
    header, tree = _read(path)
    model = _restored(path, tree)
    if "estimator" in tree:
        facts = model.facts() | {"settings": dict(sorted(model.settings().items()))}
    else:
        facts = module_facts(model)
    return facts | {
        "written_by": f"anabranch {header.library_version}",
        "format_version": header.format_version,
        "bytes": Path(path).stat().st_size,
    }


def _estimator_tree(estimator: Any) -> dict[str, Any]:
    if not estimator.__sklearn_is_fitted__():
        raise TypeError("the estimator is not fitted yet: call fit before saving it")
    return {
        "estimator": type(estimator).__name__,
        "settings": estimator.settings(),
        "state": estimator.state(),
    }


def _read(path: str | Path) -> tuple[Header, State]:
    """Who wrote a model file, and its tree as this version writes it."""
    header, tree = open_archive(path, "model")
    try:
        for version in range(header.format_version, max(MIGRATIONS) + 1):
            tree = MIGRATIONS[version](tree, ESTIMATORS)
    except Exception as error:
        raise _misfit(path, error) from error
    return header, tree


def _restored(path: str | Path, tree: State) -> Any:
    try:
        if "estimator" not in tree:
            return module_from(tree["model"])
        estimator = ESTIMATORS[tree["estimator"]].from_state(tree["settings"], tree["state"])
        check_restored(estimator)
        return estimator
    except Exception as error:  # whatever building from a tree that makes no sense ends in
        raise _misfit(path, error) from error


def _misfit(path: str | Path, error: Exception) -> ModelFileError:
    reason = shorten(f"{type(error).__name__}: {error}", 300)
    return ModelFileError(f"{path} does not fit this version of anabranch: {reason}")
