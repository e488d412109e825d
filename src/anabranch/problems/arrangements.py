"""Gaussians in arrangements that are known from publications, or that single out one thing."""

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem

Array = NDArray[np.float64]


def round_gaussians(means: Array, std: float) -> GaussianMixtureProblem:
    """Round Gaussians of equal weights around means of shape (K, D).

    Example:
        >>> round_gaussians(np.zeros((1, 2)), 1.0).n_components
        1
    """
    n, d = means.shape
    return GaussianMixtureProblem(np.full(n, 1 / n), means, np.tile(std**2 * np.eye(d), (n, 1, 1)))


def gaussian_ring(n: int = 8, radius: float = 2.0, std: float = 0.1) -> GaussianMixtureProblem:
    """Gaussians on a circle.

    Example:
        >>> gaussian_ring().means.shape
        (8, 2)
    """
    angle = 2 * np.pi * np.arange(n) / n
    means: Array = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return round_gaussians(means, std)


def gaussian_grid(n: int = 3, spacing: float = 1.5, std: float = 0.1) -> GaussianMixtureProblem:
    """Gaussians on a square grid of n by n.

    Example:
        >>> gaussian_grid().means.shape
        (9, 2)
    """
    axis = np.asarray(spacing * (np.arange(n) - (n - 1) / 2), dtype=np.float64)
    means = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return round_gaussians(means, std)


def corner_gaussians(side: float = 5.0) -> GaussianMixtureProblem:
    """Four Gaussians of variance one at the corners of a square.

    Example:
        >>> corner_gaussians().means[-1]
        array([5., 5.])
    """
    means = np.array([[0.0, 0.0], [side, 0.0], [0.0, side], [side, side]])
    return round_gaussians(means, 1.0)


def concentric_gaussians() -> GaussianMixtureProblem:
    """Four Gaussians, of which two share their mean.

    Source: Figueiredo, Jain (2002), "Unsupervised learning of finite mixture models", figure 3.

    Example:
        >>> concentric_gaussians().weights
        array([0.3, 0.3, 0.3, 0.1])
    """
    return GaussianMixtureProblem(
        weights=np.array([0.3, 0.3, 0.3, 0.1]),
        means=np.array([[-4.0, -4.0], [-4.0, -4.0], [2.0, 2.0], [-1.0, -6.0]]),
        covariances=np.array(
            [
                [[1.0, 0.5], [0.5, 1.0]],
                [[6.0, -2.0], [-2.0, 6.0]],
                [[2.0, -1.0], [-1.0, 2.0]],
                [[0.125, 0.0], [0.0, 0.125]],
            ]
        ),
    )


def unlike_gaussians() -> GaussianMixtureProblem:
    """Four Gaussians of unlike size and shape that touch but hardly overlap.

    Example:
        >>> unlike_gaussians().n_components
        4
    """
    return GaussianMixtureProblem(
        weights=np.array([0.3, 0.3, 0.2, 0.2]),
        means=np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [5.0, 5.0]]),
        covariances=np.array(
            [
                [[1.0, 0.5], [0.5, 1.0]],
                [[0.5, 0.0], [0.0, 1.5]],
                [[1.0, -0.6], [-0.6, 1.0]],
                [[0.4, 0.0], [0.0, 0.4]],
            ]
        ),
    )


def random_gaussian(n_features: int, random_state: RandomState = None) -> GaussianMixtureProblem:
    r"""One Gaussian around the origin with the covariance :math:`F F^T + I / 10`, F normal.

    Example:
        >>> random_gaussian(3, random_state=0).covariances.shape
        (1, 3, 3)
    """
    factor = check_random_state(random_state).standard_normal((n_features, n_features))
    covariance = factor @ factor.T + 0.1 * np.eye(n_features)
    return GaussianMixtureProblem(np.ones(1), np.zeros((1, n_features)), covariance[None])


def draw_around(
    means: Array, std: float, n: int, random_state: RandomState = None
) -> tuple[Array, NDArray[np.int64]]:
    """Points (n, D) of round Gaussians of equal weights, in the order they are drawn; and which.

    `GaussianMixtureProblem.sample` draws one component after the other, and then shuffles.

    Args:
        means: (K, D).
        std: standard deviation along each axis.
        n: how many points.
        random_state: source of the draws.

    Example:
        >>> X, labels = draw_around(gaussian_ring().means, 0.1, 5, random_state=0)
        >>> X.shape, labels
        ((5, 2), array([4, 7, 5, 0, 3]))
    """
    random = check_random_state(random_state)
    labels = random.randint(len(means), size=n)
    return means[labels] + std * random.normal(size=(n, means.shape[1])), labels
