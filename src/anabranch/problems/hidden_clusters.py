"""Clusters of a few latent variables, seen through a random network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState, check_positive

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class HiddenBlobs:
    r"""Gaussians of one shape in a latent space, behind the network :math:`x = B \tanh(A z + b)`.

    A, B and b are random; the gain of A is such that the long direction of a component, which
    k-means splits, comes out bent, and not flattened. Means are drawn again until each two of them
    are `apart` standard deviations of a component from each other: where two lie on top of each
    other no method can tell them.

    Args:
        n_components: K, all equally likely.
        n_features: D.
        stds: standard deviations of a component along the latent variables; large along one that
            says nothing of the clusters.
        apart: least distance of two means, in standard deviations.
        spread: how far means lie from each other along a latent variable.
        gain: of the first layer.
        noise: standard deviation of the Gaussian noise of the features.

    Raises:
        ValueError: for a number that is not positive.

    Example:
        >>> X, labels, best = HiddenBlobs().sample(1000, random_state=0)
        >>> X.shape, best > 0.97
        ((1000, 64), True)
    """

    n_components: int = 5
    n_features: int = 64
    stds: tuple[float, ...] = (3.0, 0.3, 0.3, 0.3, 0.3)
    apart: float = 6.0
    spread: float = 2.5
    gain: float = 0.3
    noise: float = 0.05

    def __post_init__(self) -> None:
        sizes = {"n_components": self.n_components, "n_features": self.n_features}
        check_positive(**sizes, smallest_std=min(self.stds), spread=self.spread, gain=self.gain)

    def sample(self, n: int, random_state: RandomState = None) -> tuple[Array, Labels, float]:
        """Rows (n, D), the components they come from, and the best accuracy there can be.

        The last is that of the component with the highest posterior probability given the latents.
        Each call draws means and a network of its own.
        """
        random = check_random_state(random_state)
        stds = np.array(self.stds)
        means = self.draw_means(random)
        labels = random.randint(self.n_components, size=n)
        z = means[labels] + stds * random.normal(size=(n, len(stds)))
        X = through_network(z, self.n_features, self.gain, random)
        X = X + self.noise * random.normal(size=X.shape)
        nearest = cdist(z / stds, means / stds).argmin(1)
        return X, labels, float((nearest == labels).mean())

    def draw_means(self, random: np.random.RandomState) -> Array:
        """Means of the latents, (K, L)."""
        scale = self.spread / np.sqrt(2)
        return _apart(np.array(self.stds), self.n_components, scale, self.apart, random)


@dataclass(frozen=True)
class TwoFacets:
    """Two independent clusterings of the same rows, behind a random network of one layer.

    Some latents are normal around a mean that the first variable chooses, as many others around
    one that the second does.

    Args:
        n_states: K of either variable, all equally likely.
        own: how many latents depend on each of the two.
        n_features: D.
        apart: least distance of two means, in standard deviations.
        gain: of the first layer.
        noise: standard deviation of the noise, as a share of that of all features.

    Raises:
        ValueError: for a number that is not positive.

    Example:
        >>> X, labels = TwoFacets().sample(10, random_state=0)
        >>> X.shape, labels.shape
        ((10, 64), (10, 2))
    """

    n_states: int = 3
    own: int = 3
    n_features: int = 64
    apart: float = 4.0
    gain: float = 0.3
    noise: float = 0.05

    def __post_init__(self) -> None:
        sizes = {"n_states": self.n_states, "own": self.own, "n_features": self.n_features}
        check_positive(**sizes, apart=self.apart, gain=self.gain)

    def sample(self, n: int, random_state: RandomState = None) -> tuple[Array, Labels]:
        """Rows (n, D), and the states (n, 2) of the two variables behind them.

        Each call draws means and a network of its own.
        """
        random = check_random_state(random_state)
        labels = random.randint(self.n_states, size=(n, 2))
        one, scale = np.ones(self.own), self.apart / np.sqrt(2)
        means = [_apart(one, self.n_states, scale, self.apart, random) for _ in range(2)]
        z = np.concatenate([means[i][labels[:, i]] for i in range(2)], 1)
        z += random.normal(size=z.shape)
        X = through_network(z, self.n_features, self.gain, random)
        return X + self.noise * X.std() * random.normal(size=X.shape), labels


def through_network(z: Array, n_features: int, gain: float, random: np.random.RandomState) -> Array:
    r"""Rows :math:`B \tanh(A z + b)`, (n, D), of latents (n, L) behind a random network.

    Args:
        z: (n, L).
        n_features: D.
        gain: standard deviation of A, times the root of L.
        random: draws A, B and b.

    Example:
        >>> through_network(np.zeros((3, 2)), 5, 0.3, np.random.RandomState(0)).shape
        (3, 5)
    """
    n_latents = z.shape[1]
    inward = random.normal(0, gain / np.sqrt(n_latents), (n_latents, n_features))
    shift = random.normal(0, 0.5, n_features)
    outward = random.normal(0, 1 / np.sqrt(n_features), (n_features, n_features))
    return np.tanh(z @ inward + shift) @ outward


def _apart(stds: Array, n: int, scale: float, least: float, random: np.random.RandomState) -> Array:
    """Means (n, L), drawn until no two are nearer than ``least`` standard deviations."""
    while True:
        means = random.normal(0, scale, (n, len(stds)))
        if pdist(means / stds).min() >= least:
            return means
