"""Model files as commands need them."""

from pathlib import Path

from anabranch.estimators import DeepClustering, load
from anabranch.estimators.base import MixtureEstimator
from anabranch.estimators.density import DensityEstimator


def load_estimator(path: Path) -> DensityEstimator:
    """Read any fitted estimator.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is damaged, foreign, of a newer format, or no estimator.
    """
    model = load(path)
    if isinstance(model, DeepClustering):
        raise ValueError(
            f"{path} holds a DeepClustering by {model.method!r}, which finds clusters and no "
            "density: it has neither scores nor samples, but predict and info work with it"
        )
    if not isinstance(model, DensityEstimator):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, which is no estimator with densities; this "
            "command needs a FlowMixture, as anabranch fit writes it, or another of these"
        )
    return model


def load_mixture(path: Path) -> MixtureEstimator:
    """Read a fitted estimator that has clusters.

    Raises:
        ValueError: as for `load_estimator`, and for a density without clusters.
    """
    model = load_estimator(path)
    if not isinstance(model, MixtureEstimator):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, one density without clusters; this command "
            "needs a mixture"
        )
    return model


def load_clusters(path: Path) -> MixtureEstimator | DeepClustering:
    """Read a fitted estimator that has clusters, with a density or without.

    Raises:
        ValueError: as for `load_mixture`.
    """
    model = load(path)
    return model if isinstance(model, DeepClustering) else load_mixture(path)


def n_features(model: DensityEstimator | DeepClustering) -> int:
    """How many columns the model was fitted to."""
    return int(model.n_features_in_)
