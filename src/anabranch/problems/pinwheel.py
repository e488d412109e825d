"""The pinwheel: bent Gaussian wings around the origin, with their exact density."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from anabranch.problems.base import Problem, check_positive, set_fields
from anabranch.problems.preimages import wing_preimages

# Preimages are followed until the wing has turned by this angle, 17 standard deviations out
# for the default wings: their number grows exponentially with the radius.
MAX_ANGLE = 200.0


@dataclass(frozen=True, eq=False)
class Pinwheel(Problem):
    r"""K wings, each a narrow Gaussian that is rotated further the further out it lies.

    $x = s R(2 \pi k / K + r e^u) (u, v)$ with $u \sim N(1, \sigma_u)$, $v \sim N(0, \sigma_v)$
    and $R$ the rotation by an angle. The Jacobian determinant of $(u, v) \mapsto x$ is
    $s^2 (1 - r e^u v)$. The map is not one to one: a point has several preimages, some with
    negative $u$, all with $|u| \le |x| / s$. The density is the sum over all of them:
    $p(x \mid k) = \sum_j N(u_j; 1, \sigma_u) N(v_j; 0, \sigma_v) / (s^2 |1 - r e^{u_j} v_j|)$.
    Preimages with $r e^{u} > 200$ are left out; for the defaults that concerns points further
    out than 3.1, where the density is below $e^{-140}$.

    The defaults are the data of the VMoNF thesis, with entropy -1.1432 nats; with rate 0.25 it
    is -1.1421 (both +- 0.0001).

    Args:
        n_components: Number of wings, K.
        radial_std: Standard deviation along a wing, before scaling.
        tangential_std: Standard deviation across a wing, before scaling.
        rate: How fast a wing turns, r.
        scale: Overall scale, s.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> problem = Pinwheel()
        >>> X, labels = problem.sample_per_component(512, random_state=0)
        >>> X.shape, bool((problem.posterior(X).argmax(axis=1) == labels).mean() > 0.99)
        ((2560, 2), True)
    """

    n_components: int = 5
    radial_std: float = 0.3
    tangential_std: float = 0.05
    rate: float = 0.4
    scale: float = 0.5
    n_features: int = field(init=False, repr=False, default=2)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(
            n_components=self.n_components,
            radial_std=self.radial_std,
            tangential_std=self.tangential_std,
            rate=self.rate,
            scale=self.scale,
        )
        set_fields(self, weights=np.full(self.n_components, 1 / self.n_components))

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        u = 1 + self.radial_std * random.standard_normal(n)
        v = self.tangential_std * random.standard_normal(n)
        return self.scale * _rotate(u, v, self._wing_angles[k] + self.rate * np.exp(u))

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = X[:, :1] / self.scale, X[:, 1:] / self.scale
        upright = _rotate(x, y, -self._wing_angles)
        density = np.full(len(X) * self.n_components, -np.inf)
        for rows, u, v in wing_preimages(upright.reshape(-1, 2), self.rate, self._max_radius):
            np.logaddexp.at(density, rows, self._preimage_log_prob(u, v))
        return density.reshape(len(X), self.n_components)

    def _preimage_log_prob(
        self, u: NDArray[np.float64], v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        log_prior = norm.logpdf(u, 1, self.radial_std) + norm.logpdf(v, 0, self.tangential_std)
        determinant = self.scale**2 * np.abs(1 - self.rate * np.exp(u) * v)
        # On a fold itself the density is infinite; rounding must not divide by zero there.
        return log_prior - np.log(np.maximum(determinant, np.finfo(np.float64).tiny))

    @property
    def _wing_angles(self) -> NDArray[np.float64]:
        return 2 * np.pi * np.arange(self.n_components) / self.n_components

    @property
    def _max_radius(self) -> float:
        return max(np.log(MAX_ANGLE / self.rate), 1 + 12 * self.radial_std)


def _rotate(
    x: NDArray[np.float64], y: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotate the points (x, y) by an angle, all broadcast; the coordinates come last."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
