"""Two Gaussians on the line, with the exact distribution function."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.stats import norm

from anabranch.problems.base import Entropy, Problem, RandomState, set_fields

MEANS = np.array([-1.5, 1.0])
STDS = np.array([0.5, 0.8])


@dataclass(frozen=True, eq=False)
class Mixture1D(Problem):
    r"""$p(x) = 0.3 N(x; -1.5, 0.5) + 0.7 N(x; 1, 0.8)$ (standard deviations), entropy 1.5948.

    Example:
        >>> problem = Mixture1D()
        >>> round(problem.entropy().value, 4), problem.cdf([-9.0, 9.0]).round(6).tolist()
        (1.5948, [0.0, 1.0])
    """

    n_components: int = field(init=False, repr=False, default=2)
    n_features: int = field(init=False, repr=False, default=1)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        set_fields(self, weights=np.array([0.3, 0.7]))

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return P(X <= x), of the shape of `x`; a trailing axis of size 1 is not dropped."""
        return norm.cdf(np.asarray(x, dtype=np.float64)[..., None], MEANS, STDS) @ self.weights

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        """Return the entropy in nats by quadrature; no sampling is needed."""
        return Entropy(float(quad(self._entropy_density, -12, 12, points=list(MEANS))[0]), 0.0)

    def _entropy_density(self, x: float) -> float:
        log_prob = self.log_prob([[x]])[0]
        return -np.exp(log_prob) * log_prob

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        return MEANS[k] + STDS[k] * random.standard_normal((n, 1))

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return norm.logpdf(X, MEANS, STDS)
