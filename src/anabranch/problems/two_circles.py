"""Two concentric circles with radial noise."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm

from anabranch.problems.base import Entropy, Problem, RandomState, check_positive, set_fields


@dataclass(frozen=True, eq=False)
class TwoCircles(Problem):
    r"""Points on two circles around the origin, equally likely, with Gaussian radial noise.

    $x = \rho (\cos \varphi, \sin \varphi)$, $\varphi$ uniform, $\rho \sim N(r_k, \sigma)$, so
    $p(x \mid k) = (N(|x|; r_k, \sigma) + N(-|x|; r_k, \sigma)) / (2 \pi |x|)$; the second term
    are the radii that the noise made negative. Component 0 is the first radius.

    The radii and the noise are those of the VMoNF thesis.

    Args:
        radii: The two radii.
        radial_std: Standard deviation of the radius, σ.

    Raises:
        ValueError: If an argument is not positive, or there are not two radii.

    Example:
        >>> round(TwoCircles(radial_std=0.05).entropy().value, 3)
        0.379
    """

    radii: tuple[float, float] = (0.8, 0.4)
    radial_std: float = 0.005
    n_components: int = field(init=False, repr=False, default=2)
    n_features: int = field(init=False, repr=False, default=2)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.radii) != 2:
            raise ValueError(f"radii has {len(self.radii)} values, expected 2")
        check_positive(outer=self.radii[0], inner=self.radii[1], radial_std=self.radial_std)
        set_fields(self, weights=np.full(2, 0.5))

    def labelled_sample(
        self, n: int = 64, random_state: RandomState = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw the separate labelled set of the thesis: `n` points, half of them of each circle.

        Raises:
            ValueError: If `n` is odd or negative.
        """
        if n % 2:
            raise ValueError(f"n is {n}, expected an even number: half for each circle")
        return self.sample_per_component(n // 2, random_state)

    def entropy(self, n: int = 200_000, random_state: RandomState = 0) -> Entropy:
        r"""Return the entropy in nats by quadrature over the radius; no sampling is needed.

        For small noise it is close to
        $\log 2 + \frac12 \sum_k \log(2 \pi r_k) + \frac12 \log(2 \pi e \sigma^2)$.
        """
        reach = 12 * self.radial_std
        inner, outer = sorted(self.radii)
        edges = [inner - reach, inner, inner + reach, outer - reach, outer, outer + reach]
        edges = np.unique(np.clip(edges, 0, None))
        parts = [quad(self._entropy_density, *pair)[0] for pair in pairwise(edges)]
        return Entropy(float(np.sum(parts)), 0.0)

    def _entropy_density(self, radius: float) -> float:
        log_prob = self.log_prob([[radius, 0.0]])[0]
        return -np.exp(log_prob) * log_prob * 2 * np.pi * radius

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        angle = random.uniform(0, 2 * np.pi, n)
        radius = self.radii[k] + self.radial_std * random.standard_normal(n)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        # At the origin itself the density has an integrable pole.
        radius = np.maximum(np.hypot(*X.T), np.finfo(np.float64).tiny)[:, None]
        both = [norm.logpdf(sign * radius, self.radii, self.radial_std) for sign in (1, -1)]
        return logsumexp(both, axis=0) - np.log(2 * np.pi * radius)
