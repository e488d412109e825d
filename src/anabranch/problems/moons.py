"""Two interleaving half circles with Gaussian noise."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from anabranch.problems.base import Problem, check_positive, set_fields


@dataclass(frozen=True, eq=False)
class Moons(Problem):
    r"""scikit-learn's `make_moons` with independent angles, as a density.

    $x = c_k(t) + \sigma \varepsilon$, $t$ uniform on $[0, \pi]$, $c_0(t) = (\cos t, \sin t)$,
    $c_1(t) = (1 - \cos t, 1/2 - \sin t)$, so $p(x \mid k)$ is the integral of a Gaussian over
    a half circle; Gauss-Legendre nodes dense against the noise give it to about 1e-10.

    Args:
        noise: Standard deviation of the noise, σ, at least 0.005.

    Raises:
        ValueError: If `noise` is out of range.

    Example:
        >>> X, labels = Moons().sample(4, random_state=0)
        >>> X.shape, labels.shape
        ((4, 2), (4,))
    """

    noise: float = 0.1
    n_components: int = field(init=False, repr=False, default=2)
    n_features: int = field(init=False, repr=False, default=2)
    weights: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(noise=self.noise)
        if self.noise < 0.005:
            raise ValueError(f"noise is {self.noise!r}, expected at least 0.005")
        set_fields(self, weights=np.full(2, 0.5))

    def _sample_component(
        self, k: int, n: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        centre = _half_circle(k, random.uniform(0, np.pi, n))
        return centre + self.noise * random.standard_normal((n, 2))

    def _component_log_prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        nodes, weights = np.polynomial.legendre.leggauss(32 + int(16 / self.noise))
        centres = [_half_circle(k, np.pi / 2 * (nodes + 1)) for k in range(2)]
        pieces = np.array_split(X, 1 + len(X) * len(nodes) // 1_000_000)
        return np.concatenate([self._quadrature(piece, centres, weights) for piece in pieces])

    def _quadrature(
        self,
        X: NDArray[np.float64],
        centres: list[NDArray[np.float64]],
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        squares = [((X[:, None] - centre) ** 2).sum(axis=-1) for centre in centres]
        exponents = -np.stack(squares, axis=1) / (2 * self.noise**2)
        log_mean = np.asarray(logsumexp(exponents, b=weights / 2, axis=2))
        return log_mean - np.log(2 * np.pi * self.noise**2)


def _half_circle(k: int, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, sin] if k == 0 else [1 - cos, 0.5 - sin], axis=-1)
