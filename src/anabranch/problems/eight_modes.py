"""Eight clouds of points with labels that tell one from another, or do not."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState, check_positive, set_fields
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem

Array = NDArray[np.float64]
LABELS = {
    "all": (0, 1, 2, 3, 4, 5, 6, 7),
    "some": (0, 0, 0, 0, 1, 1, 2, 3),
    "none": (0, 0, 0, 0, 0, 0, 0, 0),
}


@dataclass(frozen=True, eq=False)
class EightModes:
    r"""Eight Gaussians on a ring, which is told by a label that several of them may share.

    .. math:: \theta \mid k \sim \mathcal N(\mu_k, \sigma^2 I_2), \qquad x = e_{\ell(k)}, \qquad
        p(\theta \mid x = e_c) = \frac{1}{|\{k : \ell(k) = c\}|} \sum_{k : \ell(k) = c}
        \mathcal N(\theta; \mu_k, \sigma^2 I_2)

    The places :math:`\mu_k` are :math:`(\pm 1, \pm(1 + \sqrt 2))` and
    :math:`(\pm(1 + \sqrt 2), \pm 1)`, in order around the ring.

    Args:
        labels: "all" modes have labels of their own; "some" share them, as
            :math:`\ell = (0, 0, 0, 0, 1, 1, 2, 3)`; "none" is told from another.
        std: :math:`\sigma`.

    Raises:
        ValueError: for other labels, or a std that is not positive.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730, section 4.1.

    Example:
        >>> problem = EightModes()
        >>> theta, x = problem.sample(5, random_state=0)
        >>> theta.shape, x.shape
        ((5, 2), (5, 4))
        >>> problem.mode_probabilities[0].tolist()
        [0.25, 0.25, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0]
    """

    labels: str = "some"
    std: float = 0.2
    n_parameters: ClassVar[int] = 2
    n_observations: int = field(init=False, repr=False)
    label_of_mode: NDArray[np.int64] = field(init=False, repr=False)
    centres: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {list(LABELS)}, got {self.labels!r}")
        check_positive(std=self.std)
        angles = np.pi * (2 * np.arange(8) + 1) / 8
        radius = np.hypot(1, 1 + np.sqrt(2))
        of_mode = np.array(LABELS[self.labels], dtype=np.int64)
        set_fields(
            self,
            centres=radius * np.column_stack([np.cos(angles), np.sin(angles)]),
            label_of_mode=of_mode,
            n_observations=int(of_mode.max()) + 1,
        )

    @property
    def mode_probabilities(self) -> Array:
        """How probable each mode is given each label, (C, 8)."""
        shared = (self.label_of_mode == np.arange(self.n_observations)[:, None]).astype(float)
        return shared / shared.sum(1, keepdims=True)

    def sample(self, n: int, random_state: RandomState = None) -> tuple[Array, Array]:
        """Draw n points and their labels as one-hot codes, (n, 2) and (n, C)."""
        random = check_random_state(random_state)
        modes = random.randint(8, size=n)
        theta = self.centres[modes] + self.std * random.standard_normal((n, 2))
        return theta, np.eye(self.n_observations)[self.label_of_mode[modes]]

    def sample_posterior(self, x: ArrayLike, n: int, random_state: RandomState = None) -> Array:
        """Draw n points of a label, (n, 2), given as a one-hot code (C,)."""
        return self._posterior(x).sample(n, random_state)[0]

    def posterior_log_prob(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Log-density in nats of points (n, 2) given a label as a one-hot code (C,)."""
        return self._posterior(x).log_prob(theta)

    def nearest_modes(self, theta: ArrayLike) -> NDArray[np.int64]:
        """The mode that each point is nearest to, (n,)."""
        gaps = np.asarray(theta, dtype=np.float64)[:, None] - self.centres
        return np.square(gaps).sum(-1).argmin(1)

    def _posterior(self, x: ArrayLike) -> GaussianMixtureProblem:
        code = np.asarray(x, dtype=np.float64)
        if code.shape != (self.n_observations,) or sorted(code)[-1:] != [1] or code.sum() != 1:
            raise ValueError(f"x must be a one-hot code of {self.n_observations} labels, got {x}")
        modes = np.flatnonzero(self.label_of_mode == code.argmax())
        weights = np.full(len(modes), 1 / len(modes))
        covariances = np.broadcast_to(self.std**2 * np.eye(2), (len(modes), 2, 2))
        return GaussianMixtureProblem(weights, self.centres[modes], covariances)
