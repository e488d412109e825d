"""What all estimators share: scikit-learn's contract of a density."""

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin

from anabranch.estimators.estimator import Estimator
from anabranch.estimators.rows import Seed, check_weights, length

Array = NDArray[np.float64]


class DensityEstimator(DensityMixin, Estimator):
    """A density: checks of the data, scores and criteria.

    A subclass fits, and gives ``score_samples``, ``sample`` and the number of its free parameters.
    """

    random_state: Seed

    @abstractmethod
    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""

    @abstractmethod
    def _n_parameters(self) -> int:
        """Free parameters of the density."""

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - DensityMixin returns None
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Mean of ``score_samples``; a row counts as often as its ``sample_weight`` says."""
        log_prob = self.score_samples(X)
        return float(np.average(log_prob, weights=check_weights(sample_weight, len(log_prob))))

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
