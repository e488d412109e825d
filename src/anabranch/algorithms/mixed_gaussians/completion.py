"""Draws of missing cells from the exact conditional of a mixture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.mixed_gaussians.parameters import MixedParameters
from anabranch.algorithms.mixed_gaussians.patterns import Patterns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Completion:
    r"""The conditional of the missing real cells of rows given the known cells.

    .. math:: p(x_m \mid x_o, k_o) = \sum_c p(c \mid x_o, k_o)\, p(x_m \mid x_o, c)

    All that it takes is worked out once, so that many draws are cheap. Missing categories stay NaN:
    a sum over them is exact.

    Attributes:
        mixture: whose conditional it is.
        X: (n, D + C) the rows.
        gaps: numbers of the rows that lack real cells.
        log_prob: (gaps,) log-density of their known cells.
        shares: (gaps, K) cumulated p(c | x_o, k_o).
        filled: (K, gaps, D) rows with the conditional means.
        roots: (K, gaps, D, D) or fewer by pattern: roots of the conditional covariances.
        of_row: (gaps,) which of them is a row's.
    """

    mixture: MixedParameters
    X: Array
    gaps: NDArray[np.int64]
    log_prob: Array
    shares: Array
    filled: Array
    roots: NDArray[np.float32]
    of_row: NDArray[np.int64]

    @classmethod
    def of(cls, mixture: MixedParameters, X: Array) -> "Completion":
        """That of a table, (n, D + C), NaN where a cell is missing."""
        n_real, k = mixture.n_real, mixture.n_components
        gaps = np.flatnonzero(np.isnan(X[:, :n_real]).any(1))
        few = X[gaps]
        joint = mixture.joint_log_prob(few)
        log_prob = np.logaddexp.reduce(joint, axis=1)
        patterns = Patterns.of(few[:, :n_real])
        filled = np.empty((k, len(few), n_real))
        roots = np.empty((k, len(patterns.known), n_real, n_real), dtype=np.float32)
        first = 0
        for rows, part in patterns.parts():
            last = first + len(part.known)
            for c in range(k):
                mean, covariance = mixture.gaussian.means[c], mixture.gaussian.covariances[c]
                given = part.given(mean, covariance)
                filled[c, rows] = given.filled
                # singular in the directions of the known cells
                values, vectors = np.linalg.eigh(given.covariances)
                roots[c, first:last] = vectors * np.sqrt(values.clip(min=0))[:, None, :]
            first = last
        shares = np.exp(joint - log_prob[:, None]).cumsum(1)
        return cls(mixture, X, gaps, log_prob, shares, filled, roots, patterns.of_row)

    def draw(self, random_state: np.random.RandomState) -> Array:
        """The rows with one draw of their missing real cells, (n, D + C).

        Example:
            >>> from anabranch.algorithms.gaussians import GaussianParameters
            >>> tight = np.array([[[1.0, 1.0], [1.0, 1.0 + 1e-12]]])
            >>> pair = MixedParameters(GaussianParameters(np.ones(1), np.zeros((1, 2)), tight))
            >>> completion = Completion.of(pair, np.array([[3.0, np.nan]]))
            >>> completion.draw(np.random.RandomState(0)).round(3)
            array([[3., 3.]])
        """
        X, n = self.X.copy(), len(self.gaps)
        if n:
            noise = random_state.standard_normal((n, self.mixture.n_real))
            X[self.gaps] = self._filled(random_state.uniform(size=n), noise)
        return X

    def _filled(self, coins: Array, noise: Array) -> Array:
        """The rows that lack cells, (gaps, D + C), by a uniform number and normal ones of each."""
        drawn = (coins[:, None] > self.shares).sum(1).clip(max=self.mixture.n_components - 1)
        moved = np.einsum("nij,nj->ni", self.roots[drawn, self.of_row], noise)
        new = self.filled[drawn, np.arange(len(self.gaps))] + moved
        X = self.X[self.gaps]
        reals = X[:, : self.mixture.n_real]
        X[:, : self.mixture.n_real] = np.where(np.isnan(reals), new, reals)
        return X

    def draws(self, size: int, random_state: np.random.RandomState) -> tuple[Array, Array]:
        """Several draws of the rows that lack real cells, and their conditional log-density.

        All rows share their random numbers, so that what a row gets does not depend on the others;
        the components are drawn in their proportions.

        Args:
            size: S, how many of each row.
            random_state: source of randomness.

        Returns:
            The rows, (gaps, S, D + C), and log p(x_m | x_o, k_o), (gaps, S).
        """
        n = len(self.gaps)
        coins = (np.arange(size) + random_state.uniform()) / size
        noise = random_state.standard_normal((size, self.mixture.n_real))
        rows = [
            self._filled(np.full(n, coin), np.tile(numbers, (n, 1)))
            for coin, numbers in zip(coins, noise, strict=True)
        ]
        drawn = np.stack(rows, axis=1)
        whole = self.mixture.log_prob(drawn.reshape(-1, drawn.shape[-1]))
        return drawn, whole.reshape(n, size) - self.log_prob[:, None]
