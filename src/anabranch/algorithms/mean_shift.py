"""The highest mode of a sample, by mean shift."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
N_STARTS = 16  # densest points that climb


def mean_shift_mode(
    points: ArrayLike, *, bandwidth: float | None = None, max_iter: int = 500, tol: float = 1e-6
) -> Array:
    r"""The highest point of a kernel density estimate, (D,).

    .. math:: m \leftarrow \frac{\sum_i k(m, x_i)\, x_i}{\sum_i k(m, x_i)}, \qquad
        k(m, x) = e^{-|m - x|^2 / 2 h^2}

    from the densest points, in columns scaled to unit variance; the highest end is what is found.

    Args:
        points: (n, D).
        bandwidth: h, in standard deviations of the columns; None for Silverman's,
            :math:`(n (D + 2) / 4)^{-1 / (D + 4)}`, which is wide where modes are many and narrow.
        max_iter: most steps.
        tol: a step that is shorter ends it, in standard deviations.

    Raises:
        ValueError: for points of another shape, or a bandwidth that is not positive.

    Source: Fukunaga, Hostetler (1975), "The estimation of the gradient of a density function";
    Comaniciu, Meer (2002), "Mean shift", IEEE PAMI 24.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> mode = mean_shift_mode(rng.normal([3.0, -1.0], size=(2000, 2)))
        >>> bool(np.abs(mode - [3.0, -1.0]).max() < 0.3)
        True
    """
    X = np.asarray(points, dtype=np.float64)
    if X.ndim != 2 or not X.size:
        raise ValueError(f"points must have shape (n, D), got {X.shape}")
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive or None, got {bandwidth!r}")
    n, D = X.shape
    h = (n * (D + 2) / 4) ** (-1 / (D + 4)) if bandwidth is None else bandwidth
    loc, scale = X.mean(0), np.maximum(X.std(0), np.finfo(np.float64).tiny)
    Z = (X - loc) / scale
    density = np.concatenate([_weights(part, Z, h).sum(1) for part in _parts(Z)])
    m = Z[np.argsort(density)[-N_STARTS:]]
    for _ in range(max_iter):
        weights = _weights(m, Z, h)
        moved = weights @ Z / weights.sum(1, keepdims=True)
        step, m = np.abs(moved - m).max(), moved
        if step < tol:
            break
    return loc + scale * m[_weights(m, Z, h).sum(1).argmax()]


def _parts(Z: Array) -> list[Array]:
    return np.array_split(Z, len(Z) // 1024 + 1)


def _weights(m: Array, Z: Array, h: float) -> Array:
    squared = np.square(m[:, None] - Z).sum(-1)
    return np.exp(-0.5 * squared / h**2)
