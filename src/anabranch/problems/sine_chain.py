"""A chain of sines with noise of heavy tails."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anabranch.problems.base import Entropy, Problem, RandomState, check_positive, set_fields


@dataclass(frozen=True, eq=False)
class SineChain(Problem):
    r"""$x_1 = \epsilon_1$ and $x_d = \sin(2 x_{d-1}) + b\, \epsilon_d$, all noise standard Laplace.

    The entropy is $D (1 + \log 2) + (D - 1) \log b$ nats.

    Args:
        n_features: D.
        scale: of the noise, b; its standard deviation is $\sqrt 2\, b$.

    Raises:
        ValueError: If an argument is not positive.

    Example:
        >>> round(SineChain(1).entropy().value, 4)
        1.6931
    """

    n_features: int = 5
    scale: float = 0.3
    n_components: int = field(init=False, repr=False, default=1)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(n_features=self.n_features, scale=self.scale)
        set_fields(self, weights=np.ones(1))

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        """Return the entropy in nats; it is known exactly."""
        D = self.n_features
        return Entropy(float(D * (1 + np.log(2)) + (D - 1) * np.log(self.scale)), 0.0)

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        columns = [random.laplace(size=n)]
        for _ in range(self.n_features - 1):
            columns.append(np.sin(2 * columns[-1]) + random.laplace(scale=self.scale, size=n))
        return np.stack(columns, 1)

    def _shuffled(
        self, counts: NDArray[np.int64], random: np.random.RandomState
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        # of one component rows are in random order as they are drawn
        n = int(counts.sum())
        return self._sample_component(0, n, random), np.zeros(n, dtype=np.int64)

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        # scipy's log-density of Laplace is the log of a density, which far away is zero
        first = -np.abs(X[:, 0]) - np.log(2)
        rest = -np.abs(X[:, 1:] - np.sin(2 * X[:, :-1])) / self.scale - np.log(2 * self.scale)
        return (first + rest.sum(1))[:, None]
