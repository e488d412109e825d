"""Two-dimensional pictures of data with more than two columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

PROJECTIONS = ("pca", "tsne")


@dataclass(frozen=True)
class Projected:
    """Data and samples in the same plane.

    Attributes:
        points: The data, shape (n, 2).
        samples: The samples, shape (m, 2).
        axis_names: What the two axes are.
    """

    points: np.ndarray
    samples: np.ndarray
    axis_names: tuple[str, str]


def project(
    points: np.ndarray,
    samples: np.ndarray,
    projection: str = "pca",
    *,
    scale: bool = True,
    random_state: int = 0,
) -> Projected:
    """Project data and samples to the plane that the data choose.

    Args:
        points: Data, shape (n, D) with n >= 2 and D >= 2.
        samples: Samples of the model, shape (m, D); they have no say in the plane.
        projection: `"pca"` (principal components) or `"tsne"` (openTSNE; P. Poličar et al.,
            2024, after L. van der Maaten and G. Hinton, 2008; samples are placed into the
            embedding of the data).
        scale: Whether columns are first divided by their standard deviations. Wanted where
            columns have units of their own, unwanted for pixels.
        random_state: Seed of t-SNE.

    Returns:
        Both in the plane, with the names of the axes.

    Raises:
        ValueError: For an unknown projection.

    >>> X = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    >>> np.abs(project(X, X, scale=False).points[:, 0])
    array([1., 0., 1.])
    """
    if projection not in PROJECTIONS:
        raise ValueError(f"projection: got {projection!r}; expected one of {PROJECTIONS}.")
    standardize = _standardize(points, scale=scale)
    points, samples = standardize(points), standardize(samples)
    if projection == "pca":
        return _principal_components(points, samples)
    return _tsne(points, samples, random_state)


def principal_plane(
    points: np.ndarray, *, scale: bool = True
) -> Callable[[np.ndarray], np.ndarray]:
    """Give the map from rows to the first two principal components of the points.

    Args:
        points: Data, shape (n, D) with n >= 2 and D >= 2.
        scale: Whether columns are first divided by their standard deviations.

    >>> X = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    >>> np.abs(principal_plane(X, scale=False)(X + 1)[:, 0])
    array([0., 1., 2.])
    """
    standardize = _standardize(points, scale=scale)
    pca = _pca(standardize(points))
    return lambda rows: pca.transform(standardize(rows))


def _standardize(points: np.ndarray, *, scale: bool) -> Callable[[np.ndarray], np.ndarray]:
    center, spread = points.mean(axis=0), points.std(axis=0)
    spread = np.where((spread > 0) & scale, spread, 1.0)
    return lambda rows: (rows - center) / spread


def _pca(points: np.ndarray) -> PCA:
    from sklearn.decomposition import PCA

    # Points that are all the same have no variance to take shares of.
    with np.errstate(invalid="ignore"):
        return PCA(n_components=2, svd_solver="full").fit(points)


def _principal_components(points: np.ndarray, samples: np.ndarray) -> Projected:
    pca = _pca(points)
    total = points.var(axis=0, ddof=1).sum()
    shares = pca.explained_variance_ / total if total > 0 else np.zeros(2)
    first, second = (f"PC {i} ({share:.0%} of variance)" for i, share in enumerate(shares, start=1))
    return Projected(pca.transform(points), pca.transform(samples), (first, second))


def _tsne(points: np.ndarray, samples: np.ndarray, random_state: int) -> Projected:
    from openTSNE import TSNE

    perplexity = max(1, min(30, (len(points) - 1) // 3))
    embedding = TSNE(perplexity=perplexity, random_state=random_state).fit(points)
    placed = embedding.transform(samples)
    return Projected(np.asarray(embedding), np.asarray(placed), ("t-SNE axis 1", "t-SNE axis 2"))
