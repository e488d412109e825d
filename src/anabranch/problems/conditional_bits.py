"""A few bits given a condition, by tables."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState, set_fields

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConditionalBits:
    r"""Bits y of small images given one of S conditions x, all of whose probabilities are known.

    .. math:: P(x = s) = 1 / S, \qquad P(y \mid x = s) = T_{s, y}, \qquad
        H(y \mid x) = -\frac1S \sum_{s, y} T_{s, y} \log T_{s, y}

    Args:
        tables: T, (S, 2^D); each row sums to one. The first bit of y counts most.

    Raises:
        ValueError: for tables that are none.

    Example:
        >>> problem = ConditionalBits([[0.5, 0.0, 0.0, 0.5]])
        >>> problem.states.tolist(), round(problem.conditional_entropy, 4)
        ([[0, 0], [0, 1], [1, 0], [1, 1]], 0.6931)
    """

    tables: ArrayLike
    n_features: int = field(init=False, repr=False)
    n_conditions: int = field(init=False, repr=False)
    probabilities: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = np.array(self.tables, dtype=np.float64)
        features = int(np.log2(T.shape[-1])) if T.ndim == 2 and T.shape[-1] else 0
        if T.ndim != 2 or T.shape[1] != 2**features or features < 1:
            raise ValueError(f"tables must have shape (S, 2^D), got {T.shape}")
        if (T < 0).any() or not np.allclose(T.sum(1), 1):
            raise ValueError("tables must hold probabilities, and each row sum to one")
        set_fields(self, n_features=features, n_conditions=len(T), probabilities=T)

    @classmethod
    def random(
        cls,
        n_conditions: int = 4,
        n_features: int = 4,
        concentration: float = 0.5,
        random_state: RandomState = None,
    ) -> Self:
        """Tables drawn from a Dirichlet distribution of equal concentrations."""
        random = check_random_state(random_state)
        return cls(random.dirichlet(np.full(2**n_features, concentration), n_conditions))

    @property
    def states(self) -> NDArray[np.int64]:
        """All y, (2^D, D)."""
        numbers = np.arange(2**self.n_features)[:, None]
        return (numbers >> np.arange(self.n_features)[::-1]) & 1

    @property
    def conditional_entropy(self) -> float:
        """H(y | x) in nats."""
        T = self.probabilities
        return float(-np.sum(T * np.log(np.maximum(T, 1e-300))) / len(T))

    def sample(
        self, n: int, random_state: RandomState = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Draw n images and their conditions as one-hot codes, (n, D) and (n, S)."""
        random = check_random_state(random_state)
        conditions = random.randint(self.n_conditions, size=n)
        places = (random.random_sample((n, 1)) > self.probabilities.cumsum(1)[conditions]).sum(1)
        places = np.minimum(places, 2**self.n_features - 1)
        return self.states[places], np.eye(self.n_conditions)[conditions]
