"""Mixtures of very many von Mises-Fisher components: places on a ball."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]

BLOCK = 2**22  # densities of points under components that are held at once
FOLDS = 8


@dataclass(frozen=True)
class DirectionalMixture:
    r"""A mixture of von Mises-Fisher components on the sphere, and a uniform share.

    .. math:: p(x) = \frac{\pi_0}{4 \pi} + \sum_k \pi_k \frac{\kappa_k}{2 \pi (1 - e^{-2 \kappa_k})}
        e^{-\kappa_k |x - \mu_k|^2 / 2}

    Attributes:
        weights: (K,); what they lack to one is the share of the uniform distribution.
        means: (K, 3) unit vectors.
        concentrations: (K,).
    """

    weights: Array
    means: Array
    concentrations: Array

    @property
    def log_heights(self) -> Array:
        """Log of the weighted densities at the means, (K,)."""
        kappa = self.concentrations
        with np.errstate(divide="ignore"):  # a component of weight zero
            return np.log(self.weights * kappa) - np.log(2 * np.pi * -np.expm1(-2 * kappa))

    @property
    def log_uniform(self) -> float:
        """Log of the uniform part of the density."""
        share = max(1.0 - float(self.weights.sum()), 0.0)
        return float(np.log(share / (4 * np.pi))) if share > 0 else -np.inf

    def log_prob(self, X: ArrayLike) -> Array:
        """Log-density per surface, (N,) in nats, for unit vectors (N, 3)."""
        return np.concatenate([logs for _, logs, _ in self.blocks(X)])

    def blocks(self, X: ArrayLike) -> "list[tuple[Array, Array, Array]]":
        """Points, their log-densities, and responsibilities of the components, block by block.

        Raises:
            ValueError: for points that are no unit vectors.
        """
        points = check_directions(X)
        size = max(BLOCK // len(self.weights), 1)
        heights = self.log_heights - self.concentrations
        scaled = (self.concentrations[:, None] * self.means).T
        parts = []
        for begin in range(0, len(points), size):
            x = points[begin : begin + size]
            joint = x @ scaled + heights
            top = np.maximum(joint.max(1), self.log_uniform)
            joint = np.exp(joint - top[:, None], dtype=np.float32)
            total = joint.sum(1) + np.exp(self.log_uniform - top)
            parts.append((x, top + np.log(total), joint / total[:, None].astype(np.float32)))
        return parts

    def sample(self, n: int, random: np.random.RandomState) -> Array:
        """Draw n points, (n, 3)."""
        rest = max(1.0 - float(self.weights.sum()), 0.0)
        shares = np.append(self.weights, rest)
        labels = random.choice(len(shares), n, p=shares / shares.sum())
        mu = np.vstack((self.means, [0.0, 0.0, 1.0]))[labels]
        kappa = np.append(self.concentrations, 1e-9)[labels]  # next to none: uniform
        u = random.uniform(np.finfo(float).tiny, 1, n)
        above = -np.log(u + (1 - u) * np.exp(-2 * kappa)) / kappa
        above = np.where(kappa < 1e-6, 2 * u, above)
        around = random.standard_normal((n, 3))
        around -= (around * mu).sum(1, keepdims=True) * mu
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        return (
            mu * (1 - above)[:, None]
            + around * np.sqrt(np.clip(above * (2 - above), 0, None))[:, None]
        )


def check_directions(X: ArrayLike) -> Array:
    """Unit vectors (N, 3) in double precision.

    Raises:
        ValueError: for another shape, or vectors that are not of length one.

    Example:
        >>> check_directions([[0.0, 0.6, 0.8]]).shape
        (1, 3)
    """
    points = np.asarray(X, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"X must have shape (N, 3), got {points.shape}")
    lengths = np.linalg.norm(points, axis=1)
    wrong = ~(np.abs(lengths - 1) < 1e-4)
    if wrong.any():
        raise ValueError(
            f"X must hold unit vectors, got {int(wrong.sum())} of {len(points)} of other lengths, "
            f"such as {lengths[wrong][0]:g}"
        )
    return points / lengths[:, None]


def from_degrees(latitude: ArrayLike, longitude: ArrayLike) -> Array:
    """Places as unit vectors, (N, 3).

    Raises:
        ValueError: for latitudes beyond 90 degrees, longitudes beyond 360, or unlike lengths.

    Example:
        >>> from_degrees([0.0], [90.0]).round(6) + 0.0
        array([[0., 1., 0.]])
    """
    lat, lon = (np.asarray(v, dtype=np.float64) for v in (latitude, longitude))
    if lat.shape != lon.shape or lat.ndim != 1:
        raise ValueError(
            f"latitude and longitude must be of one length, got {lat.shape} and {lon.shape}"
        )
    for name, values, most in (("latitude", lat, 90.0), ("longitude", lon, 360.0)):
        if not (np.abs(values) <= most).all():
            raise ValueError(
                f"{name} must be in degrees from -{most:g} to {most:g}, "
                f"got {values[~(np.abs(values) <= most)][0]:g}"
            )
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), 1)


def adaptive_kernels(
    X: ArrayLike, *, floor: float, neighbour: int = 6, scale: float = 4.0
) -> DirectionalMixture:
    r"""A component at each point, as wide as the points around it are sparse.

    .. math:: \kappa_i = \min(c / d_k(i)^2, 1 / \epsilon^2)

    with the distance :math:`d_k` to the k-th neighbour.

    Args:
        X: unit vectors (N, 3).
        floor: :math:`\epsilon`, the least standard deviation, in radians: the resolution at which
            the density is meant. Without one, copies of a point make it as high as one likes.
        neighbour: k.
        scale: c.

    Raises:
        ValueError: for a floor, neighbour or scale that is not positive, or points that are no
            unit vectors.

    Example:
        >>> kernels = adaptive_kernels(np.eye(3), floor=0.01)
        >>> kernels.concentrations.round(3)  # one quarter of the turn apart
        array([2., 2., 2.])
    """
    from sklearn.neighbors import NearestNeighbors

    points = check_directions(X)
    if not (floor > 0 and neighbour > 0 and scale > 0):
        raise ValueError(
            f"floor, neighbour and scale must be positive, got {floor}, {neighbour} and {scale}"
        )
    n = len(points)
    if n == 1:  # one place alone tells nothing of its width
        return DirectionalMixture(np.full(1, 0.5), points, np.full(1, 1.0))
    near = NearestNeighbors(n_neighbors=min(neighbour, n - 1)).fit(points)
    distances = near.kneighbors()[0][:, -1]
    kappa = scale / np.maximum(distances, floor * scale**0.5) ** 2
    return DirectionalMixture(np.full(n, 1 / (n + 1)), points, kappa)


def kernel_mixture(
    X: ArrayLike,
    *,
    floor: float,
    neighbours: tuple[int, ...] = (3, 6, 12, 24),
    scales: tuple[float, ...] = (1.5, 4.0, 10.0),
    random_state: int = 0,
) -> DirectionalMixture:
    """Adaptive kernels of several widths at each point, weighted by what points left out say.

    Each eighth of the points is judged by kernels at the others, and EM finds the weights of the
    kinds of kernels and of the uniform distribution.

    Args:
        X: unit vectors (N, 3), at least 16.
        floor: the least standard deviation, in radians.
        neighbours: k of each kind.
        scales: c of each kind.
        random_state: of the eighths.

    Raises:
        ValueError: as `adaptive_kernels`, and for fewer than 16 points.

    Example:
        >>> points = np.random.default_rng(0).normal(size=(40, 3))
        >>> points /= np.linalg.norm(points, axis=1, keepdims=True)
        >>> len(kernel_mixture(points, floor=0.01, neighbours=(3,)).weights)
        120
    """
    points = check_directions(X)
    if len(points) < 16:
        raise ValueError(f"X must have at least 16 rows, got {len(points)}")
    kinds = [(k, c) for k in neighbours for c in scales]

    def kernels(at: Array) -> list[DirectionalMixture]:
        made = (adaptive_kernels(at, floor=floor, neighbour=k, scale=c) for k, c in kinds)
        return [replace(m, weights=np.full(len(at), 1 / len(at))) for m in made]

    folds = np.random.default_rng(random_state).permutation(len(points)) % FOLDS
    left_out = np.full((len(points), len(kinds) + 1), -np.log(4 * np.pi))
    for fold in range(FOLDS):
        mine = folds == fold
        for j, mixture in enumerate(kernels(points[~mine])):
            left_out[mine, j] = mixture.log_prob(points[mine])
    shares = np.full(len(kinds) + 1, 1 / (len(kinds) + 1))
    for _ in range(100):
        joint = left_out + np.log(shares + 1e-300)
        shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).mean(0)
    made = kernels(points)
    return DirectionalMixture(
        np.concatenate([s * m.weights for s, m in zip(shares, made, strict=False)]),
        np.concatenate([m.means for m in made]),
        np.concatenate([m.concentrations for m in made]),
    )


def fit_directions(
    X: ArrayLike,
    n_components: int,
    *,
    floor: float,
    prior: float = 2.0,
    max_iter: int = 30,
    tol: float = 1e-4,
    random_state: int = 0,
) -> DirectionalMixture:
    r"""Thousands of components by MAP-EM, from adaptive kernels at a sample of the points.

    .. math:: \kappa_k^{-1} = \frac{\sum_n r_{nk} (1 - \mu_k \cdot x_n) + \nu / \kappa_k^0}
        {\sum_n r_{nk} + \nu}

    bounded by the floor: the width of the start counts as :math:`\nu` points, so that a component
    of few points does not collapse. What decides is the start.

    Args:
        X: unit vectors (N, 3).
        n_components: K, at most N.
        floor: the least standard deviation, in radians.
        prior: :math:`\nu`.
        max_iter: iterations.
        tol: least gain of the mean log-density of an iteration.
        random_state: of the sample.

    Raises:
        ValueError: as `adaptive_kernels`, and for n_components outside of 1..N.

    Source: Banerjee et al. (2005), "Clustering on the unit hypersphere using von Mises-Fisher
    distributions", JMLR 6.

    Example:
        >>> points = from_degrees([10.0, 11.0, -50.0, -51.0], [0.0, 1.0, 100.0, 101.0])
        >>> fit_directions(points, 4, floor=0.01).means.shape
        (4, 3)
    """
    points = check_directions(X)
    if not 1 <= n_components <= len(points):
        raise ValueError(f"n_components must be in 1..{len(points)}, got {n_components}")
    chosen = np.random.default_rng(random_state).choice(len(points), n_components, replace=False)
    wide = max(round(4 * len(points) / n_components), 3)
    kernels = adaptive_kernels(points, floor=floor, neighbour=wide, scale=2.0)
    mixture = DirectionalMixture(
        np.full(n_components, 1 / (n_components + 1)),
        kernels.means[chosen],
        kernels.concentrations[chosen],
    )
    start, before = mixture.concentrations, -np.inf
    for _ in range(max_iter):
        counts, sums, log_prob = np.zeros(n_components), np.zeros((n_components, 3)), 0.0
        for x, logs, shares in mixture.blocks(points):
            counts += shares.sum(0, dtype=np.float64)
            sums += shares.T @ x
            log_prob += logs.sum() / len(points)
        if log_prob - before < tol:
            break
        before = log_prob
        lengths = np.linalg.norm(sums, axis=1)
        moved = lengths > 1e-12
        means = np.where(moved[:, None], sums / np.maximum(lengths, 1e-12)[:, None], mixture.means)
        spread = np.maximum(counts - lengths, 0) + prior / start
        kappa = np.minimum((counts + prior) / spread, 1 / floor**2)
        weights = (counts + 0.1) / (len(points) + 0.1 * n_components + 1.0)
        mixture = DirectionalMixture(weights, means, kappa)
    return mixture


def shared_places(train: ArrayLike, test: ArrayLike, resolution: float = 0.0) -> float:
    """The share of test points that have a training point within a resolution, in radians.

    Where it is large, a likelihood at no resolution measures how well rows were remembered.

    Example:
        >>> shared_places(np.eye(3), np.eye(3)[:1])
        1.0
    """
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=1).fit(check_directions(train))
    distances = near.kneighbors(check_directions(test))[0][:, 0]
    return float((distances <= max(resolution, 1e-7)).mean())
