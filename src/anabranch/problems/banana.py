"""The banana: a Gaussian bent along a parabola."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from anabranch.problems.base import Entropy, Problem, RandomState, set_fields


@dataclass(frozen=True, eq=False)
class Banana(Problem):
    r"""$x_2 \sim N(0, 4)$ (variance 4) and $x_1 \mid x_2 \sim N(x_2^2 / 4, 1)$.

    The entropy is $\log(2 \pi e) + \log 2 = 3.5310$ nats. A single additive coupling can be
    exact here.

    Example:
        >>> round(Banana().entropy().value, 4)
        3.531
    """

    n_components: int = field(init=False, repr=False, default=1)
    n_features: int = field(init=False, repr=False, default=2)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        set_fields(self, weights=np.ones(1))

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        """Return the entropy in nats; it is known exactly."""
        return Entropy(float(np.log(2 * np.pi * np.e) + np.log(2)), 0.0)

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        x2 = 2 * random.standard_normal(n)
        return np.stack([x2**2 / 4 + random.standard_normal(n), x2], axis=1)

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        x1, x2 = X.T
        return (norm.logpdf(x2, 0, 2) + norm.logpdf(x1, x2**2 / 4, 1))[:, None]
