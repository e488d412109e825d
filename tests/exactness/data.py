"""Fixed rows, from numpy's old generator, whose stream is frozen."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def rows(n: int, features: int, *, seed: int = 0) -> Array:
    """Two groups, unequally wide, whose columns depend on each other."""
    random = np.random.RandomState(seed)
    group = np.arange(n) % 2
    z = random.randn(n, features) * np.where(group, 0.5, 1.0)[:, None]
    z[:, 1:] += 0.5 * z[:, :1] ** 2 - 0.5
    return z + 2.0 * group[:, None] - 1.0


def tensor(n: int, features: int, *, seed: int = 0, bits: bool = False) -> Tensor:
    """The same in single precision; or whether they are positive, for models of bits."""
    x = torch.as_tensor(rows(n, features, seed=seed), dtype=torch.float32)
    return (x > 0).float() if bits else x


def arcs(n: int = 240, *, seed: int = 0) -> tuple[Array, Labels]:
    """Two thin arcs, which two Gaussians fit badly."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    angle = np.pi * random.rand(n)
    arc = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 - 2 * labels[:, None])
    return arc + labels[:, None] * np.array([1.0, 0.3]) + 0.05 * random.randn(n, 2), labels


def corners(n: int = 240, *, seed: int = 0) -> tuple[Array, Labels]:
    """Four round clusters at the corners of a square."""
    labels = np.arange(n) % 4
    centers = 3.0 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    return centers[labels] + 0.5 * np.random.RandomState(seed).randn(n, 2), labels


def pixels(n: int = 160, *, seed: int = 0) -> tuple[Array, Labels]:
    """Rows of eight integers 0..7, two images of 2 x 4, in two classes."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    means = np.array([[1, 6, 2, 5, 3, 3, 6, 1], [6, 1, 5, 3, 2, 6, 1, 4.0]])[labels]
    return np.clip(np.round(means + random.randn(n, 8)), 0, 7), labels


def curved(n: int = 200, *, seed: int = 0) -> tuple[Array, Labels]:
    """Three clusters of the plane, bent into six dimensions."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 3
    z = 3.0 * np.array([[-1, -1], [1, -1], [0, 1.5]])[labels] + 0.5 * random.randn(n, 2)
    weights = np.random.RandomState(7).randn(2, 6)
    return np.tanh(z @ weights / 4) + 0.02 * random.randn(n, 6), labels


def some(labels: Labels, n: int = 30) -> Labels:
    """The first labels, and -1 for the others."""
    return np.where(np.arange(len(labels)) < n, labels, -1)


def bounded(n: int = 240, *, seed: int = 0) -> Array:
    """A positive column, one in the unit interval, and an angle around zero."""
    random = np.random.RandomState(seed)
    size = np.exp(0.5 * random.randn(n))
    share = 1 / (1 + np.exp(-random.randn(n) - np.log(size)))
    return np.stack([size, share, np.remainder(0.7 * random.randn(n), 2 * np.pi)], 1)
