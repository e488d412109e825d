"""The Ising model on a small square: bits whose probabilities are all known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.utils import check_random_state

from anabranch.problems.base import Entropy, RandomState

Array = NDArray[np.float64]
LARGEST = 4


@dataclass(frozen=True)
class Ising:
    r"""Spins $s \in \{-1, 1\}^{L \times L}$ with $p(s) \propto \exp(J \sum_{i \sim j} s_i s_j)$.

    Neighbours share an edge of the square, whose border is free (or, periodic, is glued to the
    opposite one). A spin is given as the bit $x = (s + 1) / 2$, row after row. Everything rests on
    the list of all $2^{L^2}$ states; at $J = 1/2$ the entropies are 4.3753 nats for $L = 3$ and
    7.0382 for $L = 4$.

    Args:
        size: L, in 1..4.
        coupling: J.
        periodic: whether opposite borders are neighbours.

    Raises:
        ValueError: If the size is not in 1..4, or the coupling not finite.

    Example:
        >>> problem = Ising(3)
        >>> problem.states.shape, round(problem.entropy().value, 4)
        ((512, 9), 4.3753)
    """

    size: int = 3
    coupling: float = 0.5
    periodic: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST:
            raise ValueError(f"size is {self.size}, expected 1..{LARGEST}: all states are listed")
        if not np.isfinite(self.coupling):
            raise ValueError(f"coupling is {self.coupling}, expected a finite number")

    @property
    def n_features(self) -> int:
        """Number of bits, L^2."""
        return self.size**2

    @cached_property
    def states(self) -> Array:
        """All states as bits, shape (2^(L^2), L^2); state number n holds the bits of n."""
        places = np.arange(self.n_features)
        return ((np.arange(2**self.n_features)[:, None] >> places) & 1).astype(np.float64)

    @cached_property
    def state_log_probs(self) -> Array:
        """Log-probability of each state in nats, in the order of `states`."""
        energy = self.coupling * self._agreement()
        return energy - np.asarray(logsumexp(energy))

    def log_prob(self, X: ArrayLike) -> Array:
        """Return the log-probability in nats, shape (n,), for bits `X` of shape (n, L^2).

        Raises:
            ValueError: If `X` has the wrong shape or holds anything but 0 and 1.
        """
        bits = np.asarray(X, dtype=np.float64)
        if bits.ndim != 2 or bits.shape[1] != self.n_features:
            raise ValueError(f"X has shape {bits.shape}, expected (n, {self.n_features})")
        if not np.isin(bits, (0.0, 1.0)).all():
            raise ValueError("X holds values other than 0 and 1")
        return self.state_log_probs[(bits @ 2.0 ** np.arange(self.n_features)).astype(np.int64)]

    def sample(self, n: int, random_state: RandomState = None) -> Array:
        """Draw `n` independent states, bits of shape (n, L^2).

        Raises:
            ValueError: If `n` is negative.
        """
        if n < 0:
            raise ValueError(f"n is {n}, expected a count of at least 0")
        random = check_random_state(random_state)
        probabilities = np.exp(self.state_log_probs)
        return self.states[random.choice(len(probabilities), n, p=probabilities)]

    def entropy(self) -> Entropy:
        """Return the entropy in nats; it is known exactly."""
        return Entropy(float(-(np.exp(self.state_log_probs) * self.state_log_probs).sum()), 0.0)

    def _agreement(self) -> Array:
        """Sum of products of neighbours, for each state."""
        spins = (2 * self.states - 1).reshape(-1, self.size, self.size)
        total = np.zeros(len(spins))
        for axis in (1, 2):
            products = spins * np.roll(spins, -1, axis)
            kept = self.size if self.periodic else self.size - 1
            total += np.take(products, range(kept), axis).sum((1, 2))
        return total
