"""The mixture itself: a Gaussian of the real columns times probabilities of the categories."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.mixed_gaussians.patterns import Patterns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MixedParameters:
    r"""A mixture of Gaussians and independent categories.

    .. math:: p(x, k) = \sum_c \pi_c\, \mathcal N(x; m_c, \Sigma_c) \prod_j p_{cj}(k_j)

    Rows hold D real columns and then the numbers of C categories; a missing cell is NaN, and is
    summed out exactly: the marginal of a Gaussian is one, and the factor of a category is dropped.

    Attributes:
        gaussian: weights, means (K, D) and covariances (K, D, D); D may be zero.
        factors: of each category its probabilities, (K, levels).

    Example:
        >>> one = GaussianParameters(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        >>> mixture = MixedParameters(one, (np.array([[0.25, 0.75]]),))
        >>> mixture.log_prob(np.array([[np.nan, 1.0], [0.0, np.nan]])).round(4)
        array([-0.2877, -0.9189])
    """

    gaussian: GaussianParameters
    factors: tuple[Array, ...] = ()

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.gaussian.weights)

    @property
    def n_real(self) -> int:
        """D."""
        return self.gaussian.means.shape[1]

    def joint_log_prob(self, X: Array) -> Array:
        """Log p(x, k, c) of the known cells, (n, K), for rows (n, D + C)."""
        joint = self.category_log_prob(X[:, self.n_real :])
        with np.errstate(divide="ignore"):
            joint += np.log(self.gaussian.weights)
        if not self.n_real:
            return joint
        for rows, patterns in Patterns.of(X[:, : self.n_real]).parts():
            for c in range(self.n_components):
                mean, covariance = self.gaussian.means[c], self.gaussian.covariances[c]
                joint[rows, c] += patterns.given(mean, covariance).log_prob
        return joint

    def category_log_prob(self, codes: Array) -> Array:
        """Log-probability of the known categories given the component, (n, K)."""
        total = np.zeros((len(codes), self.n_components))
        for code, table in zip(codes.T, self.factors, strict=True):
            known = ~np.isnan(code)
            total[known] += np.log(table.T[code[known].astype(np.int64)])
        return total

    def log_prob(self, X: Array) -> Array:
        """Log-density of the real cells times the probability of the categories, (n,) in nats."""
        return np.logaddexp.reduce(self.joint_log_prob(X), axis=1)

    def responsibilities(self, X: Array) -> Array:
        """p(c | x, k) from the known cells, (n, K)."""
        joint = self.joint_log_prob(X)
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])

    def expected(self, X: Array) -> Array:
        """The real columns with the expectations of missing cells, (n, D)."""
        shares, total = self.responsibilities(X), np.zeros((len(X), self.n_real))
        for rows, patterns in Patterns.of(X[:, : self.n_real]).parts():
            for c in range(self.n_components):
                mean, covariance = self.gaussian.means[c], self.gaussian.covariances[c]
                filled = patterns.given(mean, covariance).filled
                total[rows] += shares[rows, c, None] * filled
        known = X[:, : self.n_real]
        return np.where(np.isnan(known), total, known)

    def sample(self, labels: NDArray[np.integer], random_state: np.random.RandomState) -> Array:
        """Rows of given components, (n, D + C)."""
        rows = np.empty((len(labels), self.n_real + len(self.factors)))
        noise = random_state.standard_normal((len(labels), self.n_real))
        coins = random_state.uniform(size=(len(labels), len(self.factors)))
        for c in range(self.n_components):
            own = np.flatnonzero(labels == c)
            if self.n_real:
                root = np.linalg.cholesky(self.gaussian.covariances[c])
                rows[own, : self.n_real] = self.gaussian.means[c] + noise[own] @ root.T
            for j, table in enumerate(self.factors):
                ends = table[c].cumsum()[:-1]  # the last category takes what rounding leaves
                rows[own, self.n_real + j] = np.searchsorted(ends, coins[own, j], side="right")
        return rows
