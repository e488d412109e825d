"""A robot's arm: which settings of its joints bring the tip to a given place?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState, check_positive

Array = NDArray[np.float64]
BATCH = 1 << 18  # proposals at a time
MOST_BATCHES = 400


@dataclass(frozen=True)
class InverseKinematics:
    r"""A planar arm on a rail, whose height and three angles are told by where its tip is.

    .. math::
        x_1 &= \theta_1 + l_1 \sin \theta_2 + l_2 \sin(\theta_3 - \theta_2)
            + l_3 \sin(\theta_4 - \theta_2 - \theta_3) \\
        x_2 &= l_1 \cos \theta_2 + l_2 \cos(\theta_3 - \theta_2)
            + l_3 \cos(\theta_4 - \theta_2 - \theta_3)

    A priori :math:`\theta_j \sim \mathcal N(0, \sigma_j^2)`. Two numbers do not tell four: the
    posterior is a bent surface, whose parts are far from each other.

    Args:
        lengths: of the three links.
        stds: of the height and the angles a priori.

    Raises:
        ValueError: for a length or standard deviation that is not positive.

    Source: Kruse, Ardizzone, Rother, Köthe (2021), "Benchmarking invertible architectures on
    inverse problems", arXiv:2101.10763; first in Ardizzone et al. (2018), arXiv:1808.04730.

    Example:
        >>> problem = InverseKinematics()
        >>> theta, x = problem.sample(3, random_state=0)
        >>> theta.shape, x.shape
        ((3, 4), (3, 2))
        >>> problem.simulate(np.zeros((1, 4)))
        array([[0., 2.]])
    """

    lengths: tuple[float, float, float] = (0.5, 0.5, 1.0)
    stds: tuple[float, float, float, float] = (0.25, 0.5, 0.5, 0.5)
    n_parameters: ClassVar[int] = 4
    n_observations: ClassVar[int] = 2

    def __post_init__(self) -> None:
        for name in ("lengths", "stds"):
            for j, value in enumerate(getattr(self, name)):
                check_positive(**{f"{name}[{j}]": value})

    def simulate(self, theta: ArrayLike) -> Array:
        """Where the tip is, (..., 2), for settings (..., 4).

        Raises:
            ValueError: for another number of columns.
        """
        settings = np.asarray(theta, dtype=np.float64)
        if settings.shape[-1:] != (4,):
            raise ValueError(f"theta must have shape (..., 4), got {settings.shape}")
        across, along = self._reach(settings[..., 1:])
        return np.stack([settings[..., 0] + across, along], axis=-1)

    def joints(self, theta: ArrayLike) -> Array:
        """The places of the rail's end, both joints and the tip, (..., 4, 2), to draw the arm."""
        settings = np.asarray(theta, dtype=np.float64)
        links = self._links(*self._directions(settings[..., 1:]))
        steps = [length * np.stack([np.sin(d), np.cos(d)], -1) for length, d in links]
        start = np.stack([settings[..., 0], np.zeros(settings.shape[:-1])], -1)
        return np.cumsum(np.stack([start, *steps], -2), axis=-2)

    def sample_prior(self, n: int, random_state: RandomState = None) -> Array:
        """Draw n settings a priori, (n, 4)."""
        return check_random_state(random_state).standard_normal((n, 4)) * self.stds

    def sample(self, n: int, random_state: RandomState = None) -> tuple[Array, Array]:
        """Draw n settings a priori and where they bring the tip, (n, 4) and (n, 2)."""
        theta = self.sample_prior(n, random_state)
        return theta, self.simulate(theta)

    def sample_posterior(
        self,
        x: ArrayLike,
        n: int,
        random_state: RandomState = None,
        *,
        tolerance: float = 1e-3,
    ) -> Array:
        r"""Draw n settings whose tip is at x, (n, 4), by rejection.

        Angles from the prior are kept where :math:`x_2` is met within the tolerance; the height
        that meets :math:`x_1` is then no choice, and they are kept with probability
        :math:`p(\theta_1) / p(0)`. As the tolerance goes to zero the draws are exact.

        Args:
            x: (2,) the place.
            n: how many.
            random_state: source of the draws.
            tolerance: the largest :math:`|x_2' - x_2|`.

        Raises:
            ValueError: for another shape, a tolerance that is not positive, or a place that the
                arm hardly ever reaches.
        """
        place = np.asarray(x, dtype=np.float64)
        if place.shape != (2,):
            raise ValueError(f"x must have shape (2,), got {place.shape}")
        check_positive(tolerance=tolerance)
        random = check_random_state(random_state)
        kept: list[Array] = []
        for _ in range(MOST_BATCHES):
            kept.append(self._accepted(place, tolerance, random))
            if sum(map(len, kept)) >= n:
                return np.concatenate(kept)[:n]
        found = sum(map(len, kept))
        raise ValueError(
            f"x = {place.tolist()} is hardly ever reached: {found} of {n} draws in "
            f"{BATCH * MOST_BATCHES} trials"
        )

    def _accepted(self, place: Array, tolerance: float, random: np.random.RandomState) -> Array:
        angles = random.standard_normal((BATCH, 3)) * self.stds[1:]
        across, along = self._reach(angles)
        near = np.abs(along - place[1]) <= tolerance
        height = place[0] - across[near]
        heads = random.random_sample(len(height)) < np.exp(-0.5 * (height / self.stds[0]) ** 2)
        return np.column_stack([height, angles[near]])[heads]

    def _reach(self, angles: Array) -> tuple[Array, Array]:
        """How far the links lead across and along, each (...), for angles (..., 3)."""
        links = self._links(*self._directions(angles))
        across = sum(length * np.sin(d) for length, d in links)
        along = sum(length * np.cos(d) for length, d in links)
        return np.asarray(across), np.asarray(along)

    def _links(self, *directions: Array) -> list[tuple[float, Array]]:
        return list(zip(self.lengths, directions, strict=True))

    @staticmethod
    def _directions(angles: Array) -> tuple[Array, Array, Array]:
        a, b, c = np.moveaxis(angles, -1, 0)
        return a, b - a, c - a - b
