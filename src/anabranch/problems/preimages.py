r"""Preimages of points under the map that bends a pinwheel's wing.

The map is $(u, v) \mapsto R(r e^u) (u, v)$. Undoing the rotation at a guessed $u$ gives
$(a(u), v(u)) = R(-r e^u) y$, and $u$ is right where $g(u) = a(u) - u = 0$; the slope is
$g'(u) = r e^u v(u) - 1$.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# No cell of the scan is wider than RADIUS_STEP in u, or turns by more than ANGLE_STEP.
RADIUS_STEP = 0.05
ANGLE_STEP = 0.1
CELLS_AT_ONCE = 1_000_000
NEWTON_STEPS = 100


def wing_preimages(
    points: Array, rate: float, max_radius: float
) -> Iterator[tuple[NDArray[np.int64], Array, Array]]:
    """Yield all preimages of `points`, shape (n, 2), as flat arrays (index of the point, u, v).

    Roots with |u| above `max_radius` are left out. The work is done in portions of bounded
    memory, nearest points first: the further out, the more often the wing has turned, and the
    finer the scan.
    """
    radius = np.hypot(*points.T)
    order = np.argsort(radius)
    start = 0
    while start < len(order):
        size = min(4096, len(order) - start)
        while True:
            nodes = _scan_nodes(min(radius[order[start + size - 1]], max_radius), rate)
            if size == 1 or size * len(nodes) <= CELLS_AT_ONCE:
                break
            size = max(1, size // 2)
        rows = order[start : start + size]
        found, u = _roots(points[rows], nodes, rate)
        yield rows[found], u, _unbend(points[rows[found]], u, rate)[1]
        start += size


def _scan_nodes(radius: float, rate: float) -> Array:
    # A little wider than the radius, so that a root on the border has a sign change around it.
    radius = radius * (1 + 1e-9) + 1e-9
    low, high = rate * np.exp(-radius), rate * np.exp(radius)
    even_radius = np.linspace(-radius, radius, 2 + int(2 * radius / RADIUS_STEP))
    even_angle = np.linspace(low, high, 2 + int((high - low) / ANGLE_STEP))
    return np.union1d(even_radius, np.log(even_angle[1:-1] / rate))


def _unbend(points: Array, u: Array, rate: float) -> tuple[Array, Array]:
    """Return the two coordinates of R(-rate e^u) y, elementwise."""
    angle = rate * np.exp(u)
    cos, sin = np.cos(angle), np.sin(angle)
    return points[:, 0] * cos + points[:, 1] * sin, points[:, 1] * cos - points[:, 0] * sin


def _roots(points: Array, nodes: Array, rate: float) -> tuple[NDArray[np.int64], Array]:
    """Find all roots of g for each point: flat arrays (index of the point, u)."""
    angle = rate * np.exp(nodes)
    cos, sin = np.cos(angle), np.sin(angle)
    above = points @ np.stack([cos, sin]) > nodes
    rising = (points @ np.stack([-sin, cos])) * angle > 1
    crossed = above[:, 1:] != above[:, :-1]
    # A cell may hide two roots around an extremum that points from both ends to zero.
    turned = (rising[:, 1:] != rising[:, :-1]) & (rising[:, 1:] == above[:, 1:]) & ~crossed

    def value(rows: NDArray[np.int64], u: Array) -> tuple[Array, Array]:
        along, across = _unbend(points[rows], u, rate)
        return along - u, across * rate * np.exp(u) - 1

    def slope(rows: NDArray[np.int64], u: Array) -> tuple[Array, Array]:
        along, across = _unbend(points[rows], u, rate)
        bend = rate * np.exp(u)
        return across * bend - 1, bend * (across - along * bend)

    rows, cells = np.nonzero(turned)
    extremum = _solve(slope, rows, nodes[cells], nodes[cells + 1])
    double = (value(rows, extremum)[0] > 0) != above[rows, cells]
    hidden, cell, extremum = rows[double], cells[double], extremum[double]

    rows, cells = np.nonzero(crossed)
    rows = np.concatenate([rows, hidden, hidden])
    low = np.concatenate([nodes[cells], nodes[cell], extremum])
    high = np.concatenate([nodes[cells + 1], extremum, nodes[cell + 1]])
    return rows, _solve(value, rows, low, high)


def _solve(
    function: Callable[[NDArray[np.int64], Array], tuple[Array, Array]],
    rows: NDArray[np.int64],
    low: Array,
    high: Array,
) -> Array:
    """Newton's method for many brackets at once, with bisection where it leaves the bracket."""
    positive = function(rows, low)[0] > 0
    u = (low + high) / 2
    for _ in range(NEWTON_STEPS):
        value, slope = function(rows, u)
        left = (value > 0) == positive
        low, high = np.where(left, u, low), np.where(left, high, u)
        slope = np.where(slope == 0, np.inf, slope)
        newton = u - value / slope
        inside = (newton > low) & (newton < high)
        previous, u = u, np.where(inside, newton, (low + high) / 2)
        if not (np.abs(u - previous) > 4 * np.finfo(np.float64).eps * (1 + np.abs(u))).any():
            break
    return u
