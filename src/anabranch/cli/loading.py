"""Model files as commands need them."""

from pathlib import Path

from anabranch.estimators import FlowMixture, load


def load_mixture(path: Path) -> FlowMixture:
    """Read a fitted mixture.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is damaged, foreign, of a newer format, or another model.
    """
    model = load(path)
    if not isinstance(model, FlowMixture):
        raise ValueError(
            f"{path} holds a {type(model).__name__} without an estimator; this command needs a "
            "FlowMixture, as anabranch fit writes it"
        )
    return model


def n_features(model: FlowMixture) -> int:
    """How many columns the model was fitted to."""
    # scikit-learn's validate_data sets it
    return int(model.n_features_in_)  # pyright: ignore[reportAttributeAccessIssue]
