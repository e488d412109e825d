"""Model files as commands need them."""

from pathlib import Path
from typing import cast

from anabranch.estimators.base import MixtureEstimator
from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.files import load_estimator


def load_density(path: Path) -> DensityEstimator:
    """Read a fitted estimator that has scores and samples.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is damaged, foreign, of a newer format, or no estimator with densities.
    """
    model = load_estimator(path)
    if model.score_kind == "none":
        raise ValueError(
            f"{path} holds {called(model)}, which finds clusters and no density: it has neither "
            "scores nor samples, but predict and info work with it"
        )
    return cast("DensityEstimator", model)


def load_mixture(path: Path) -> MixtureEstimator:
    """Read a fitted estimator that has densities and clusters.

    Raises:
        ValueError: as for `load_density`, and for a density without clusters.
    """
    model = load_density(path)
    _require_clusters(model, path)
    return cast("MixtureEstimator", model)


def load_clusters(path: Path) -> Estimator:
    """Read a fitted estimator that has clusters, with a density or without.

    Raises:
        ValueError: as for `load_estimator`, and for a density without clusters.
    """
    model = load_estimator(path)
    _require_clusters(model, path)
    return model


def called(model: Estimator) -> str:
    """An estimator in a sentence.

    Example:
        >>> from anabranch import GaussianMixture
        >>> called(GaussianMixture(1).fit([[0.0], [1.0]]))
        'a GaussianMixture'
    """
    method = model.facts().get("method")
    return f"a {type(model).__name__}" + ("" if method is None else f" by {method!r}")


def _require_clusters(model: Estimator, path: Path) -> None:
    if not model.has_clusters:
        raise ValueError(
            f"{path} holds {called(model)}, one density without clusters; this command needs a "
            "mixture"
        )
