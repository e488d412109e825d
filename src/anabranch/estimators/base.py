"""What all estimators share: scikit-learn's contract of a mixture."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from anabranch.data.finite import check_finite
from anabranch.estimators.checks import check_levels, check_spread, column_names

Array = NDArray[np.float64]


class MixtureEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator
):
    """A density with clusters: checks of the data, predictions, scores and criteria.

    A subclass fits, and gives ``predict_proba``, ``score_samples``, ``sample`` and the number of
    its free parameters.

    Attributes:
        n_components_: K, the clusters.
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_components_: int
    random_state: Any
    levels: int | None = None

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to rows, some of which may have labels."""

    @abstractmethod
    def predict_proba(self, X: Any, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "exact" for p(c|x) by Bayes' rule, "network" for q(c|x) where there is a
                posterior network; None for the one that was trained.
        """

    @abstractmethod
    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""

    @abstractmethod
    def _sample(
        self, n: int, component: int | None, random_state: np.random.RandomState
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows and their components."""

    @abstractmethod
    def _n_parameters(self) -> int:
        """Free parameters of the density."""

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Fit, and give each row its component: the same as ``fit(X, y).predict(X)``."""
        return self.fit(X, y).predict(X)

    def predict(self, X: Any, *, method: str | None = None) -> NDArray[np.int64]:
        """The most probable component of each row, (n,); ``method`` as in `predict_proba`."""
        return self.predict_proba(X, method=method).argmax(1)

    def transform(self, X: Any) -> Array:
        """The probabilities of ``predict_proba``, as features for what follows in a pipeline."""
        return self.predict_proba(X)

    def sample(
        self, n_samples: int = 1, *, component: int | None = None, random_state: Any = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows and the components they come from.

        Args:
            n_samples: how many.
            component: draw from this component only.
            random_state: by default that of the estimator, so that an integer repeats the draws.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}")
        if component is not None and not 0 <= component < self.n_components_:
            raise ValueError(
                f"component must be in 0..{self.n_components_ - 1} or None, got {component}"
            )
        state = check_random_state(self.random_state if random_state is None else random_state)
        return self._sample(n_samples, component, state)

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - DensityMixin returns None
        self, X: Any, y: Any = None
    ) -> float:
        """Mean of ``score_samples``."""
        return float(self.score_samples(X).mean())

    def bic(self, X: Any) -> float:
        r"""Bayesian information criterion on X, :math:`-2\log L + p\log n`; lower is better.

        Source: Schwarz (1978), "Estimating the dimension of a model".
        """
        return -2 * self.score(X) * len(X) + self._n_parameters() * np.log(len(X))

    def aic(self, X: Any) -> float:
        r"""Akaike information criterion on X, :math:`-2\log L + 2p`; lower is better.

        Source: Akaike (1974), "A new look at the statistical model identification".
        """
        return -2 * self.score(X) * len(X) + 2 * self._n_parameters()

    def mdl(self, X: Any) -> float:
        r"""Description length of X in nats, :math:`-\log L + \tfrac p2\log n`; lower is better.

        Source: Rissanen (1978), "Modeling by shortest data description".
        """
        return self.bic(X) / 2

    def _check_exact(self, method: str | None) -> None:
        """Refuse a method that an estimator without a posterior network does not have."""
        if method not in (None, "exact"):
            raise ValueError(
                f"method must be 'exact', for a {type(self).__name__} has no posterior network; "
                f"got {method!r}"
            )

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _validated(self, X: Any, *, reset: bool) -> Array:
        """Rows as float64, or an error that names the columns at fault."""
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        columns = column_names(self, X.shape[1])
        check_finite(X, columns)
        if self.levels is not None:
            check_levels(X, self.levels, columns)
        elif reset:
            check_spread(X, columns)
        # frames lend their values read-only, which torch warns about
        return np.require(X, requirements="W")
