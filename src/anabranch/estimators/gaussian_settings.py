"""Settings of a `GaussianMixture`, refused before any work where they cannot be meant."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import CovarianceModel, GaussianPrior, weak_prior
from anabranch.algorithms.gaussians.starts import COVARIANCE_TYPES

if TYPE_CHECKING:
    from anabranch.estimators.gaussian_mixture import GaussianMixture

Array = NDArray[np.float64]
CHOICES = {
    "covariance_type": COVARIANCE_TYPES,
    "init_params": ("kmeans", "k-means++", "random"),
}
MODELS: dict[str, dict[str, Any]] = {
    "full": {},
    "tied": {"to_tied": 1.0},
    "diag": {"to_diagonal": 1.0},
    "spherical": {"spherical": True},
}


def covariance_model(settings: "GaussianMixture") -> CovarianceModel:
    """How covariances of that type are estimated."""
    return CovarianceModel(settings.reg_covar, **MODELS[settings.covariance_type])


def gaussian_prior(
    settings: "GaussianMixture", X: Array, n_components: int
) -> GaussianPrior | None:
    """The prior that the settings describe; a weak one where components are to be annihilated."""
    n_features = X.shape[1]
    if settings.covariance_prior is not None:
        scale = _scale(settings.covariance_prior, n_features)
        freedom = settings.degrees_of_freedom_prior
        freedom = float(n_features if freedom is None else freedom)
        return GaussianPrior(settings.weight_concentration_prior, scale, freedom)
    if settings.n_components == "auto":
        return weak_prior(X, n_components)
    if settings.weight_concentration_prior != 1:
        return GaussianPrior(settings.weight_concentration_prior)
    return None


def check_gaussian_settings(settings: "GaussianMixture", n_features: int) -> None:
    """Refuse settings that are out of range or do not go together.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """
    for name, allowed in CHOICES.items():
        if getattr(settings, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(settings, name)!r}")
    for name in ("max_iter", "n_init", "max_components"):
        value = getattr(settings, name)
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
    for name, least in (("tol", 0), ("reg_covar", 0), ("weight_concentration_prior", 1)):
        value = getattr(settings, name)
        if not isinstance(value, int | float | np.number) or not least <= value < np.inf:
            raise ValueError(f"{name} must be a number not below {least}, got {value!r}")
    _check_prior(settings, n_features)
    if settings.n_components == "auto":
        _check_auto(settings)


def _check_prior(settings: "GaussianMixture", n_features: int) -> None:
    freedom = settings.degrees_of_freedom_prior
    if freedom is None:
        return
    if settings.covariance_prior is None:
        raise ValueError("degrees_of_freedom_prior goes with a covariance_prior, which is None")
    if not isinstance(freedom, int | float | np.number) or not n_features - 1 < freedom < np.inf:
        raise ValueError(
            f"degrees_of_freedom_prior must be above {n_features - 1}, the number of columns less "
            f"one, got {freedom!r}"
        )


def _check_auto(settings: "GaussianMixture") -> None:
    given = [
        name
        for name in ("weights_init", "means_init", "precisions_init")
        if getattr(settings, name) is not None
    ]
    if given:
        raise ValueError(f"n_components='auto' begins at random rows: leave {given[0]} at None")
    if settings.weight_concentration_prior != 1:
        raise ValueError(
            "n_components='auto' has a prior of the weights of its own: leave "
            "weight_concentration_prior at 1"
        )


def _scale(given: Any, n_features: int) -> Array:
    scale = np.asarray(given, dtype=np.float64)
    if scale.ndim == 0:
        scale = scale * np.eye(n_features)
    if scale.shape != (n_features, n_features) or not np.isfinite(scale).all():
        raise ValueError(
            f"covariance_prior must be a positive number or finite numbers of shape "
            f"{(n_features, n_features)}, got shape {scale.shape}"
        )
    if not np.allclose(scale, scale.T) or np.linalg.eigvalsh(scale).min() <= 0:
        raise ValueError("covariance_prior must be symmetric and positive definite")
    return scale
