"""A linear Gaussian latent model, where bound, posterior and likelihood are all known."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import Entropy, Problem, RandomState, check_positive, set_fields
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearGaussian(Problem):
    r"""$x = W z + b + \sigma \epsilon$, with $z$ and $\epsilon$ standard normal.

    .. math::
        p(x) = \mathcal N(x; b, W W^\top + \sigma^2 I), \qquad
        p(z \mid x) = \mathcal N(z; m(x), \Lambda^{-1}), \\
        \Lambda = I + W^\top W / \sigma^2, \qquad
        m(x) = \Lambda^{-1} W^\top (x - b) / \sigma^2

    Args:
        loadings: $W$, shape (D, J).
        offset: $b$, shape (D,).
        noise_std: $\sigma$, positive.

    Raises:
        ValueError: If the shapes do not fit, or `noise_std` is not positive.

    Example:
        >>> problem = LinearGaussian()
        >>> problem.n_features, problem.n_latent, round(problem.mean_field_gap(), 3)
        (3, 2, 0.537)
    """

    loadings: Array = field(
        default_factory=lambda: np.array([[1.0, 0.8], [0.5, 1.0], [-0.6, -0.6]])
    )
    offset: Array = field(default_factory=lambda: np.array([0.5, 0.0, -1.0]))
    noise_std: float = 0.5
    n_components: int = field(init=False, repr=False)
    n_features: int = field(init=False, repr=False)
    n_latent: int = field(init=False, repr=False)
    weights: Array = field(init=False, repr=False)
    _marginal: GaussianMixtureProblem = field(init=False, repr=False)

    def __post_init__(self) -> None:
        loadings, offset = (np.array(a, dtype=np.float64) for a in (self.loadings, self.offset))
        if loadings.ndim != 2 or offset.shape != loadings.shape[:1]:
            raise ValueError(
                f"loadings has shape {loadings.shape} and offset {offset.shape}, "
                "expected (D, J) and (D,)"
            )
        check_positive(noise_std=self.noise_std)
        covariance = loadings @ loadings.T + self.noise_std**2 * np.eye(len(offset))
        weights = np.ones(1)
        set_fields(
            self,
            loadings=loadings,
            offset=offset,
            n_components=1,
            n_features=len(offset),
            n_latent=loadings.shape[1],
            weights=weights,
            _marginal=GaussianMixtureProblem(weights, offset[None], covariance[None]),
        )

    @classmethod
    def random(
        cls,
        n_features: int,
        n_latent: int,
        noise_std: float = 0.5,
        random_state: RandomState = None,
    ) -> Self:
        r"""A model with loadings drawn from $N(0, 1/J)$ and offsets from $N(0, 1)$."""
        random = check_random_state(random_state)
        loadings = random.standard_normal((n_features, n_latent)) / np.sqrt(n_latent)
        return cls(loadings, random.standard_normal(n_features), noise_std)

    def latent_precision(self) -> Array:
        r"""Return $\Lambda$, the precision of the latent given a point, shape (J, J)."""
        precision = np.eye(self.n_latent) + self.loadings.T @ self.loadings / self.noise_std**2
        return np.asarray(precision, dtype=np.float64)

    def latent_mean(self, X: Array) -> Array:
        """Return the means of the latent given each point, shape (n, J).

        Raises:
            ValueError: If `X` has the wrong shape or holds NaN or infinity.
        """
        linear = (self._points(X) - self.offset) @ self.loadings / self.noise_std**2
        return np.asarray(np.linalg.solve(self.latent_precision(), linear.T).T, dtype=np.float64)

    def mean_field_gap(self) -> float:
        r"""Return what the best bound of independent latents lacks of $\log p(x)$, in nats.

        It is $\frac12 (\sum_j \log \Lambda_{jj} - \log\det \Lambda)$, the same at every point.
        """
        precision = self.latent_precision()
        return float(0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]))

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        """Return the entropy of x in nats, exactly."""
        return self._marginal.entropy(n, random_state)

    def _component_log_prob(self, X: Array) -> Array:
        return self._marginal.component_log_prob(X)

    def _sample_component(self, k: int, n: int, random: np.random.RandomState) -> Array:
        latent = random.standard_normal((n, self.n_latent))
        noise = random.standard_normal((n, self.n_features))
        return latent @ self.loadings.T + self.offset + self.noise_std * noise
