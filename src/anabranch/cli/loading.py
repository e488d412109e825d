"""Model files as commands need them."""

from pathlib import Path

from anabranch.estimators import load
from anabranch.estimators.base import MixtureEstimator


def load_estimator(path: Path) -> MixtureEstimator:
    """Read any fitted estimator.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is damaged, foreign, of a newer format, or no estimator.
    """
    model = load(path)
    if not isinstance(model, MixtureEstimator):
        raise ValueError(
            f"{path} holds a {type(model).__name__} without an estimator; this command needs a "
            "FlowMixture, as anabranch fit writes it, or another estimator"
        )
    return model


def n_features(model: MixtureEstimator) -> int:
    """How many columns the model was fitted to."""
    return int(model.n_features_in_)
