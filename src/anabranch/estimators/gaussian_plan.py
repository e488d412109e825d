"""What a fit of a Gaussian mixture shall do: its settings, checked once."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    GaussianPrior,
    gaussian_m_step,
    weak_prior,
)
from anabranch.algorithms.gaussians.seeding import assignments, expanded
from anabranch.algorithms.gaussians.starts import COVARIANCE_TYPES
from anabranch.estimators.rows import Seed
from anabranch.estimators.unused import warn_unused
from anabranch.functional.numbers import (
    check_choice,
    check_components,
    check_not_negative,
    check_whole,
    real,
)
from anabranch.procedures.optimisation import Settings, check_random_state_setting

Array = NDArray[np.float64]
MAX_COMPONENTS = 20
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")
GIVEN = ("weights_init", "means_init", "precisions_init")
MODELS: dict[str, dict[str, Any]] = {
    "full": {},
    "tied": {"to_tied": 1.0},
    "diag": {"to_diagonal": 1.0},
    "spherical": {"spherical": True},
}


@dataclass(frozen=True)
class LabelledRows:
    """Rows that a mixture is fitted to.

    Attributes:
        X: (n, D).
        targets: (n, K) labels, rows of zeros where unknown, or None.
        weights: (n,) what each row counts; None for one.
    """

    X: Array
    targets: Array | None
    weights: Array | None


def _standardised(X: Array, weights: Array | None) -> Array:
    """Columns with mean zero and variance one, of rows that count as often as they do."""
    if weights is None:
        return (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1.0)
    centred = X - np.average(X, axis=0, weights=weights)
    std = np.sqrt(np.average(centred**2, axis=0, weights=weights))
    return centred / np.where(std > 0, std, 1.0)


@dataclass(frozen=True)
class GaussianPlan:
    """The settings of a `GaussianMixture`, checked against each other; see there.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    n_components: int | str | None
    covariance_type: str
    tol: float
    reg_covar: float
    max_iter: int
    n_init: int
    init_params: str
    weights_init: ArrayLike | None
    means_init: ArrayLike | None
    precisions_init: ArrayLike | None
    weight_concentration_prior: float
    covariance_prior: ArrayLike | None
    degrees_of_freedom_prior: float | None
    max_components: int
    columns: object
    missing: str
    warm_start: bool
    verbose: int
    verbose_interval: int
    random_state: Seed

    def __post_init__(self) -> None:
        check_components(self.n_components)
        check_choice(self, "covariance_type", COVARIANCE_TYPES)
        check_choice(self, "init_params", INIT_PARAMS)
        check_whole(self, ("max_iter",), 1 if self.is_auto or self.is_table else 0)
        check_whole(self, ("n_init", "max_components", "verbose_interval"), 1)
        if not isinstance(self.verbose, bool):
            check_whole(self, ("verbose",), 0)
        check_not_negative(self, ("tol", "reg_covar"))
        check_random_state_setting(self.random_state)
        alpha = self.weight_concentration_prior
        if not 1 <= real(alpha) < np.inf:
            raise ValueError(f"weight_concentration_prior must be at least 1, got {alpha!r}")
        if self.degrees_of_freedom_prior is not None and self.covariance_prior is None:
            raise ValueError("degrees_of_freedom_prior goes with a covariance_prior, which is None")
        check_choice(self, "missing", ("refuse", "marginal"))
        if self.is_table:
            self._check_table()
        if self.is_auto:
            self._check_auto()

    @classmethod
    def of(cls, estimator: Settings) -> Self:
        """The plan of an estimator."""
        params = estimator.get_params(deep=False)
        return cls(**{name: params[name] for name in cls.__dataclass_fields__})  # pyright: ignore

    def warn_unused(self) -> None:
        """Say what was given and does nothing in this fit."""
        if not self.is_auto and self.max_components != MAX_COMPONENTS:
            warn_unused("max_components", "n_components is a number")

    @property
    def is_table(self) -> bool:
        """Whether rows are told by kinds of columns."""
        return self.columns is not None or self.missing != "refuse"

    @property
    def is_auto(self) -> bool:
        """Whether the number of components is to be found."""
        return isinstance(self.n_components, str)

    @property
    def model(self) -> CovarianceModel:
        """How covariances of the type are estimated."""
        return covariance_model(self.covariance_type, self.reg_covar)

    def prior(self, X: Array, n_components: int) -> GaussianPrior | None:
        """The prior of the settings; a weak one where components are to be annihilated."""
        n_features = X.shape[1]
        if self.covariance_prior is not None:
            scale = _scale(self.covariance_prior, n_features)
            freedom = self.degrees_of_freedom_prior
            freedom = float(n_features if freedom is None else freedom)
            return GaussianPrior(self.weight_concentration_prior, scale, freedom)
        if self.is_auto:
            return weak_prior(X, n_components)
        if self.weight_concentration_prior != 1:
            return GaussianPrior(self.weight_concentration_prior)
        return None

    def start(
        self,
        rows: LabelledRows,
        n_components: int,
        prior: GaussianPrior | None,
        random_state: np.random.RandomState,
    ) -> GaussianParameters:
        """The mixture before the first step: as given, the rest from assigned rows."""
        X, targets, weights = rows.X, rows.targets, rows.weights
        given, model = self._given(n_components, X.shape[1]), self.model
        if len(given) == 3:
            return GaussianParameters(**given, diagonal=model.is_diagonal)
        # units must not decide which columns the distances see
        Z = _standardised(X, weights)
        how = n_components, self.init_params, random_state
        assigned = assignments(Z, targets, *how, weights)
        assigned = assigned if weights is None else weights[:, None] * assigned
        return replace(gaussian_m_step(X, assigned, model, prior), **given)

    def _given(self, n_components: int, n_features: int) -> dict[str, Array]:
        """The parameters that the settings prescribe, checked."""
        given = {}
        if self.weights_init is not None:
            given["weights"] = _weights(self.weights_init, n_components)
        if self.means_init is not None:
            given["means"] = _shaped("means", self.means_init, (n_components, n_features))
        if self.precisions_init is not None:
            given["covariances"] = self._covariances(n_components, n_features)
        return given

    def _covariances(self, n_components: int, n_features: int) -> Array:
        """The inverses of ``precisions_init``, which has scikit-learn's shape for the type."""
        kind = self.covariance_type
        shapes = {
            "full": (n_components, n_features, n_features),
            "tied": (n_features, n_features),
            "diag": (n_components, n_features),
            "spherical": (n_components,),
        }
        name = f"{kind} precision"
        precisions = _shaped(name, self.precisions_init, shapes[kind], "precisions_init")
        full = expanded(precisions, kind, n_components, n_features)
        symmetric = np.allclose(full, full.transpose(0, 2, 1))
        if not symmetric or np.linalg.eigvalsh(full).min() <= 0:
            matrix = kind in ("full", "tied")
            raise ValueError(
                f"precisions_init: '{name}' should be "
                f"{'symmetric, positive-definite' if matrix else 'positive'}"
            )
        return np.linalg.inv(full).astype(np.float64, copy=False)

    def check_columns(self, n_features: int) -> None:
        """Refuse a prior that so many columns cannot have."""
        freedom = self.degrees_of_freedom_prior
        if freedom is not None and not n_features - 1 < real(freedom) < np.inf:
            raise ValueError(
                f"degrees_of_freedom_prior must be above {n_features - 1}, the number of columns "
                f"less one, got {freedom!r}"
            )

    def _check_table(self) -> None:
        """Refuse what a table of mixed columns has not."""
        given = [name for name in (*GIVEN, "covariance_prior") if getattr(self, name) is not None]
        given += ["weight_concentration_prior"] * (self.weight_concentration_prior != 1)
        given += ["warm_start"] * bool(self.warm_start)
        if given:
            raise ValueError(
                f"columns and missing do not go with {given[0]}, which is of plain numbers"
            )
        if self.is_auto:
            raise ValueError("columns and missing need a number of components, not 'auto'")

    def _check_auto(self) -> None:
        given = [name for name in GIVEN if getattr(self, name) is not None]
        if given:
            raise ValueError(f"n_components='auto' begins at random rows: leave {given[0]} at None")
        if self.weight_concentration_prior != 1:
            raise ValueError(
                "n_components='auto' has a prior of the weights of its own: leave "
                "weight_concentration_prior at 1"
            )


def covariance_model(covariance_type: str, reg_covar: float) -> CovarianceModel:
    """How covariances of a type are estimated."""
    return CovarianceModel(reg_covar, **MODELS[covariance_type])


def _scale(given: ArrayLike, n_features: int) -> Array:
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


def _weights(given: object, n_components: int) -> Array:
    """Weights to start from, with sum one to the last bit."""
    weights = _shaped("weights", given, (n_components,))
    if not ((weights > 0) & (weights <= 1)).all():
        raise ValueError(
            "weights_init: The parameter 'weights' should be in the range [0, 1] and above zero, "
            f"but got max value {weights.max():.5f}, min value {weights.min():.5f}"
        )
    if not np.isclose(weights.sum(), 1, atol=1e-6):
        raise ValueError(
            "weights_init: The parameter 'weights' should be normalized, "
            f"but got sum(weights) = {weights.sum():.5f}"
        )
    return weights / weights.sum()


def _shaped(name: str, value: object, shape: tuple[int, ...], setting: str | None = None) -> Array:
    """An array of a setting, or an error that calls it as scikit-learn does."""
    setting = f"{name}_init" if setting is None else setting
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(
            f"{setting}: The parameter '{name}' should have the shape of {shape}, "
            f"but got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{setting} must be finite numbers, got NaN or infinity")
    return array.copy()
