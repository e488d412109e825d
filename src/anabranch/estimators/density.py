"""What all estimators share: scikit-learn's contract of a density."""

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin
from sklearn.utils.validation import validate_data

from anabranch.data.finite import check_finite
from anabranch.estimators.checks import check_levels, check_spread, column_names
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.rows import Seed, length
from anabranch.estimators.tables import plain_table

Array = NDArray[np.float64]


class DensityEstimator(DensityMixin, Estimator):
    """A density: checks of the data, scores and criteria.

    A subclass fits, and gives ``score_samples``, ``sample`` and the number of its free parameters.
    """

    random_state: Seed
    levels: int | None = None

    @abstractmethod
    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""

    @abstractmethod
    def _n_parameters(self) -> int:
        """Free parameters of the density."""

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - DensityMixin returns None
        self, X: ArrayLike, y: ArrayLike | None = None
    ) -> float:
        """Mean of ``score_samples``."""
        return float(self.score_samples(X).mean())

    def bic(self, X: ArrayLike) -> float:
        r"""Bayesian information criterion on X, :math:`-2\log L + p\log n`; lower is better.

        Source: Schwarz (1978), "Estimating the dimension of a model".
        """
        return -2 * self.score(X) * length(X) + self._n_parameters() * np.log(length(X))

    def aic(self, X: ArrayLike) -> float:
        r"""Akaike information criterion on X, :math:`-2\log L + 2p`; lower is better.

        Source: Akaike (1974), "A new look at the statistical model identification".
        """
        return -2 * self.score(X) * length(X) + 2 * self._n_parameters()

    def mdl(self, X: ArrayLike) -> float:
        r"""Description length of X in nats, :math:`-\log L + \tfrac p2\log n`; lower is better.

        Source: Rissanen (1978), "Modeling by shortest data description".
        """
        return self.bic(X) / 2

    def _validated(self, X: ArrayLike, *, reset: bool) -> Array:
        """Rows as float64, or an error that names the columns at fault."""
        rows = validate_data(
            self,
            plain_table(X),  # pyright: ignore[reportArgumentType] - "no_validation" is its only text
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        # frames lend their values read-only, which torch warns about; reversed rows it refuses
        X = np.require(rows, requirements=["W", "C"])
        columns = column_names(self, X.shape[1])
        check_finite(X, columns)
        self._check_values(X, columns, reset=reset)
        return X

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        """Refuse values that the model cannot hold."""
        if self.levels is not None:
            check_levels(X, self.levels, columns)
        elif reset:
            check_spread(X, columns)
