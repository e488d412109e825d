"""A mixture of Gaussians with known parameters."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from anabranch.problems.base import Entropy, Problem, RandomState, set_fields


@dataclass(frozen=True, eq=False)
class GaussianMixtureProblem(Problem):
    r"""$p(x) = \sum_k w_k N(x; \mu_k, \Sigma_k)$ in any dimension.

    Args:
        weights: Shape (K,), positive, with sum one.
        means: Shape (K, D).
        covariances: Shape (K, D, D), symmetric and positive definite.

    Raises:
        ValueError: If the shapes do not fit, the weights are no distribution, or a covariance
            is not symmetric and positive definite.

    Example:
        >>> problem = GaussianMixtureProblem(
        ...     weights=np.array([1.0]), means=np.zeros((1, 2)), covariances=np.eye(2)[None]
        ... )
        >>> round(problem.entropy().value, 4)
        2.8379
    """

    weights: NDArray[np.float64] = field(default_factory=lambda: np.array([0.6, 0.3, 0.1]))
    means: NDArray[np.float64] = field(
        default_factory=lambda: np.array([[0.0, 0.0], [3.0, 3.0], [-3.0, 3.0]])
    )
    covariances: NDArray[np.float64] = field(
        default_factory=lambda: np.array(
            [[[1.0, 0.5], [0.5, 1.0]], [[0.5, 0.0], [0.0, 1.5]], [[1.0, -0.7], [-0.7, 0.8]]]
        )
    )
    n_components: int = field(init=False, repr=False)
    n_features: int = field(init=False, repr=False)
    _cholesky: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights, means, covariances = (
            np.array(a, dtype=np.float64) for a in (self.weights, self.means, self.covariances)
        )
        if means.ndim != 2:
            raise ValueError(f"means has shape {means.shape}, expected (K, D)")
        n_components, n_features = means.shape
        _check_weights(weights, n_components)
        set_fields(
            self,
            weights=weights,
            means=means,
            covariances=covariances,
            n_components=n_components,
            n_features=n_features,
            _cholesky=_cholesky(covariances, n_components, n_features),
        )

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        r"""Return the entropy in nats: $\frac12 \log \det(2 \pi e \Sigma)$ for one component.

        With several components it is the Monte Carlo estimate of `Problem.entropy`.

        Raises:
            ValueError: If `n` is less than 2.
        """
        if self.n_components > 1:
            return super().entropy(n, random_state)
        log_det = 2 * np.log(np.diagonal(self._cholesky[0])).sum()
        return Entropy(float(0.5 * (self.n_features * np.log(2 * np.pi * np.e) + log_det)), 0.0)

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        noise = random.standard_normal((n, self.n_features))
        return self.means[k] + noise @ self._cholesky[k].T

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = zip(self.means, self._cholesky, strict=True)
        return np.stack([_normal_log_prob(X, mean, factor) for mean, factor in pairs], axis=1)


def _normal_log_prob(
    X: NDArray[np.float64], mean: NDArray[np.float64], factor: NDArray[np.float64]
) -> NDArray[np.float64]:
    standard = solve_triangular(factor, (X - mean).T, lower=True)
    log_det = np.log(np.diagonal(factor)).sum()
    return -0.5 * (standard**2 + np.log(2 * np.pi)).sum(axis=0) - log_det


def _check_weights(weights: NDArray[np.float64], n_components: int) -> None:
    if weights.shape != (n_components,):
        raise ValueError(f"weights has shape {weights.shape}, expected ({n_components},)")
    if not ((weights > 0).all() and np.isclose(weights.sum(), 1, rtol=0, atol=1e-9)):
        raise ValueError(f"weights is {weights.tolist()}, expected positive values with sum 1")


def _cholesky(
    covariances: NDArray[np.float64], n_components: int, n_features: int
) -> NDArray[np.float64]:
    expected = (n_components, n_features, n_features)
    if covariances.shape != expected:
        raise ValueError(f"covariances has shape {covariances.shape}, expected {expected}")
    if not np.allclose(covariances, covariances.transpose(0, 2, 1)):
        raise ValueError("covariances is not symmetric")
    try:
        return np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise ValueError("covariances is not positive definite") from None
