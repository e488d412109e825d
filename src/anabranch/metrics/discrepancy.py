"""How far two samples are apart, by kernels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from anabranch.metrics.two_sample import as_points

WIDTHS = (0.05, 0.2, 0.9)


def maximum_mean_discrepancy(
    x: ArrayLike, y: ArrayLike, *, widths: Sequence[float] = WIDTHS
) -> float:
    r"""The squared maximum mean discrepancy of two samples, by inverse multiquadratics.

    .. math::
        \mathrm{MMD}^2 = \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)},
        \qquad k(a, b) = \sum_h \frac{h^2}{h^2 + |a - b|^2}

    All pairs count, a point with itself too, so that it is never negative and two samples of one
    distribution are not quite zero apart: that floor falls as one over their size.
    `anabranch.functional.inverse_multiquadratic_mmd` is the same for tensors, with gradients.

    Args:
        x: (n, D), or (n,) for D = 1.
        y: (m, D), or (m,) for D = 1, in the same units, which should be alike for all columns.
        widths: h, in these units.

    Raises:
        ValueError: where shapes do not fit, a sample is empty or not finite, or a width is not
            positive.

    Source: Gretton et al. (2012), "A kernel two-sample test", JMLR 13; with these kernels:
    Ardizzone et al. (2018), arXiv:1808.04730.

    Example:
        >>> round(maximum_mean_discrepancy([0.0], [1.0], widths=[1.0]), 6)
        1.0
    """
    points, others = as_points("x", x), as_points("y", y)
    if points.shape[1] != others.shape[1]:
        raise ValueError(f"x has {points.shape[1]} features, y has {others.shape[1]}")
    if not widths or min(widths) <= 0:
        raise ValueError(f"widths must be positive numbers, got {list(widths)}")
    means = [
        _kernel_mean(np.asarray(cdist(a, b, "sqeuclidean"), dtype=np.float64), widths)
        for a, b in ((points, points), (others, others), (points, others))
    ]
    return means[0] + means[1] - 2 * means[2]


def _kernel_mean(squared: NDArray[np.float64], widths: Sequence[float]) -> float:
    return float(sum((h**2 / (h**2 + squared)).mean() for h in widths))
