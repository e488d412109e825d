"""Settings of a `DeepClustering`, refused before any work where they cannot be meant."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

from anabranch.estimators.deep_trainer import METHODS
from anabranch.estimators.numbers import (
    check_dict,
    check_not_negative,
    check_positive,
    check_share,
    check_sizes,
    check_whole,
    real,
)
from anabranch.models.autoencoders.coder import LIKELIHOODS

if TYPE_CHECKING:
    from anabranch.estimators.deep_clustering import DeepClustering

# What `fit` tells a recipe by itself.
KNOWN = ("features", "n_components", "likelihood", "seed")


def check_clustering_settings(settings: "DeepClustering") -> None:
    """Refuse settings that are out of range or do not go together.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """
    if settings.method not in METHODS:
        raise ValueError(f"method must be one of {tuple(METHODS)}, got {settings.method!r}")
    check_whole(settings, ("n_components", "latent", "n_init", "refresh", "batch_size"), 1)
    check_whole(settings, ("pretrain_epochs", "max_epochs"), 0)
    check_positive(settings, ("alpha", "reconstruction", "learning_rate"))
    check_positive(settings, ("clustering_rate",), optional=True)
    check_not_negative(settings, ("tol", "weight_decay"))
    check_share(settings, ("validation_fraction",))
    if not 0 <= real(settings.corruption) < 1:
        raise ValueError(f"corruption must be in [0, 1), got {settings.corruption!r}")
    check_sizes("hidden", settings.hidden)
    check_dict(settings, ("fit_options", "model_options"))
    for name in settings.model_options or {}:
        if name in KNOWN:
            raise ValueError(f"model_options cannot set {name!r}, which fit tells the recipe")
    _check_likelihood(settings)


def _check_likelihood(settings: "DeepClustering") -> None:
    levels: Any = settings.levels
    if levels is not None and not (isinstance(levels, Integral) and int(levels) > 1):
        raise ValueError(f"levels must be an integer above 1 or None, got {levels!r}")
    if settings.likelihood not in (None, *LIKELIHOODS):
        raise ValueError(
            f"likelihood must be one of {LIKELIHOODS} or None, got {settings.likelihood!r}"
        )
    if settings.likelihood == "bernoulli" and levels is None:
        raise ValueError(
            "likelihood='bernoulli' needs shares in [0, 1]: give levels for integers, or take "
            "likelihood='gaussian'"
        )
