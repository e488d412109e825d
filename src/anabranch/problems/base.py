"""What every toy problem offers: samples with labels, exact densities and posteriors, entropy."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.utils import check_random_state

RandomState = int | np.random.RandomState | None


class Entropy(NamedTuple):
    """A differential entropy in nats; `standard_error` is 0 where no sampling was needed."""

    value: float
    standard_error: float


class Problem(ABC):
    r"""A mixture $p(x) = \sum_k w_k p(x \mid k)$ whose parts are all known exactly.

    A problem without components has one. Subclasses are frozen dataclasses that set
    `n_components`, `n_features` and `weights`, and give the density of each component and
    samples from it.

    Attributes:
        n_components: Number of components, K.
        n_features: Number of features, D.
        weights: Weights of the components, shape (K,), summing to one.
    """

    n_components: int
    n_features: int
    weights: NDArray[np.float64]

    def component_log_prob(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return $\log p(x \mid k)$ in nats, shape (n, K), for `X` of shape (n, D).

        Raises:
            ValueError: If `X` has the wrong shape or holds NaN or infinity.
        """
        return self._component_log_prob(self._points(X))

    def log_prob(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return $\log p(x)$ in nats, shape (n,), for `X` of shape (n, D).

        Raises:
            ValueError: If `X` has the wrong shape or holds NaN or infinity.
        """
        return np.asarray(logsumexp(self._joint_log_prob(X), axis=1))

    def posterior(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return $p(k \mid x)$, shape (n, K), for `X` of shape (n, D).

        Where every component's density is zero, the posterior is the weights.

        Raises:
            ValueError: If `X` has the wrong shape or holds NaN or infinity.
        """
        joint = self._joint_log_prob(X)
        nowhere = np.isneginf(joint).all(axis=1, keepdims=True)
        return np.exp(log_softmax(np.where(nowhere, np.log(self.weights), joint), axis=1))

    def sample(
        self, n: int, random_state: RandomState = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw `n` independent points, shape (n, D), and their components, shape (n,).

        Raises:
            ValueError: If `n` is negative.
        """
        random = check_random_state(random_state)
        counts = random.multinomial(_count("n", n), self.weights)
        return self._shuffled(counts, random)

    def sample_per_component(
        self, n: int, random_state: RandomState = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw `n` points of each component, in random order: shapes (n K, D) and (n K,).

        Raises:
            ValueError: If `n` is negative.
        """
        counts = np.full(self.n_components, _count("n", n))
        return self._shuffled(counts, check_random_state(random_state))

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        r"""Return the differential entropy $-\mathbb{E} \log p(x)$ in nats.

        Args:
            n: Points of the Monte Carlo estimate; not used where the entropy is known exactly.
            random_state: Source of those points.

        Raises:
            ValueError: If `n` is less than 2.
        """
        if _count("n", n) < 2:
            raise ValueError(f"n is {n}, expected at least 2 points for a Monte Carlo estimate")
        log_prob = self.log_prob(self.sample(n, random_state)[0])
        return Entropy(float(-log_prob.mean()), float(log_prob.std(ddof=1) / np.sqrt(n)))

    @abstractmethod
    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log p(x|k), shape (n, K), for finite float64 points of shape (n, D)."""

    @abstractmethod
    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        """Draw n points of component k, shape (n, D)."""

    def _joint_log_prob(self, X: ArrayLike) -> NDArray[np.float64]:
        return np.log(self.weights) + self.component_log_prob(X)

    def _shuffled(
        self, counts: NDArray[np.int64], random: np.random.RandomState
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        parts = [self._sample_component(k, int(m), random) for k, m in enumerate(counts)]
        order = random.permutation(int(counts.sum()))
        labels = np.repeat(np.arange(self.n_components, dtype=np.int64), counts)
        return np.concatenate(parts)[order], labels[order]

    def _points(self, X: ArrayLike) -> NDArray[np.float64]:
        points = np.asarray(X, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.n_features:
            raise ValueError(f"X has shape {points.shape}, expected (n, {self.n_features})")
        if not np.isfinite(points).all():
            raise ValueError("X holds NaN or infinity, expected finite values")
        return points


def set_fields(problem: object, **values: object) -> None:
    """Set derived fields of a frozen dataclass during its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(problem, name, value)


def check_positive(**values: float) -> None:
    """Raise ValueError for the first value that is not a finite positive number."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value!r}, expected a positive number")


def _count(name: str, n: int) -> int:
    if n < 0:
        raise ValueError(f"{name} is {n}, expected a count of at least 0")
    return int(n)
