"""Conjugate priors of a Gaussian mixture, for maximum a posteriori estimates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianPrior:
    r"""Dirichlet weights and inverse-Wishart covariances; means are flat.

    .. math:: \pi \sim \mathrm{Dir}(\alpha, \dots, \alpha), \qquad
        \Sigma_k \sim \mathcal W^{-1}(\Psi, \nu)

    Restricted covariances (diagonal, spherical) have the same density on their subspace; a tied one
    is drawn once.

    Source: Bishop (2006), "Pattern recognition and machine learning", sections 2.3.6 and 10.2.

    Attributes:
        concentration: α, at least 1: each component is given α - 1 rows in advance.
        scale: Ψ, (D, D), or None for flat covariances.
        degrees_of_freedom: ν.

    Example:
        >>> GaussianPrior(concentration=3.0).weights(np.array([8.0, 0.0])).round(4)
        array([0.8333, 0.1667])
    """

    concentration: float = 1.0
    scale: Array | None = None
    degrees_of_freedom: float = 0.0

    def weights(self, mass: Array) -> Array:
        """Mode of the weights given how many rows each component owns, (K,)."""
        seen = mass + self.concentration - 1
        return seen / seen.sum()

    def scatter(self, scatter: Array, mass: Array, *, tied: bool) -> Array:
        r""":math:`(\Psi + N_k S_k) / (\nu + D + 1 + N_k)`, or of the pooled scatter, (K, D, D)."""
        if self.scale is None:
            return scatter
        sums = mass[:, None, None] * scatter
        if tied:
            sums, mass = np.broadcast_to(sums.sum(0), sums.shape), np.full_like(mass, mass.sum())
        return (self.scale + sums) / (self._rows + mass)[:, None, None]

    def log_prob(self, weights: Array, covariances: Array, *, tied: bool) -> float:
        """Log-density in nats, up to a constant that depends on α, Ψ and ν only."""
        total = 0.0
        if self.concentration != 1:
            total += (self.concentration - 1) * float(np.log(weights).sum())
        if self.scale is None:
            return total
        drawn = covariances[:1] if tied else covariances
        log_det = np.linalg.slogdet(drawn)[1]
        traces = np.trace(np.linalg.solve(drawn, self.scale[None]), axis1=1, axis2=2)
        return total - 0.5 * float((self._rows * log_det + traces).sum())

    @property
    def _rows(self) -> float:
        r""":math:`\nu + D + 1`, the rows that the prior counts for."""
        return self.degrees_of_freedom + (0 if self.scale is None else len(self.scale) + 1)


def weak_prior(X: Array, n_components: int) -> GaussianPrior:
    r"""A prior too weak to matter to a component that owns many rows.

    .. math:: \Psi = K^{-2/D} \operatorname{diag} S, \qquad \nu = D + 2

    with the variances of all rows, so that the K components share the volume. It keeps components
    that own few rows from shrinking onto them.

    Source: Fraley, Raftery (2007), "Bayesian regularization for normal mixture estimation and
    model-based clustering", Journal of Classification 24, with the diagonal of S.

    Example:
        >>> weak_prior(np.array([[0.0], [2.0]]), 2).scale
        array([[0.25]])
    """
    n_features = X.shape[1]
    scale = np.diag(X.var(axis=0)) * n_components ** (-2 / n_features)
    return GaussianPrior(scale=scale, degrees_of_freedom=n_features + 2.0)
