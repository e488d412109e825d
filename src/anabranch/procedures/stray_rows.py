"""Rows that stand apart from all others: found before a fit, and what a mixture makes of them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.distributions import ContaminatedMixture, Mixture
from anabranch.procedures.gaussian_guard import fitted_share

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Robust scales from the median within which no row is stray.
FAR = 12.0
# A stray row is so many times as far out as the farthest of the others.
GAP = 3.0
# More rows than these, a number and a share, that stand apart are a cluster.
FEW, SHARE = 5, 0.01
# Fewer rows than these have no quantiles to tell by.
LEAST = 10


def robust_scales(X: Array) -> Array:
    r"""The scale of each column, which a few far rows do not move, (D,).

    The larger of interquartile range over 1.349 and the range from the 5 % to the 95 % quantile
    over 9.87, so that tails of the body count; where one value holds more than half of the rows
    that range over 3.29; where it holds nearly all, the deviation of the others; 0 for a constant.

    Example:
        >>> robust_scales(np.r_[np.zeros(96), 5.0, 6.0, 7.0, 8.0][:, None]).round(2)
        array([1.12])
    """
    low, first, third, high = np.nanquantile(X, [0.05, 0.25, 0.75, 0.95], axis=0)
    scale = np.maximum((third - first) / 1.349, (high - low) / 9.87)
    scale = np.where(third > first, scale, (high - low) / 3.29)
    for j in np.flatnonzero(scale == 0):
        others = X[(X[:, j] != first[j]) & ~np.isnan(X[:, j]), j]
        scale[j] = others.std() if len(others) else 0.0
    return scale


@dataclass(frozen=True)
class Fence:
    """How far from the median of each column the body of a table reaches.

    Attributes:
        centre: (D,) medians.
        reach: (D,) farthest distance of a row that is not stray; infinite where none is.
    """

    centre: Array
    reach: Array

    @classmethod
    def of(cls, X: Array, kept: Mask | None = None) -> "Fence":
        """The fence of a table, NaN where a cell is missing.

        A few rows are stray where they are more than `FAR` robust scales from the median of a
        column, and `GAP` times as far as any other: tails have no such gap, and clusters more rows.

        Args:
            X: (n, D).
            kept: (n,) rows that are not stray wherever they are, such as labelled ones.

        Example:
            >>> X = np.r_[np.linspace(-1, 1, 99), 1e4][:, None]
            >>> np.flatnonzero(Fence.of(X).outside(X))
            array([99])
        """
        n, columns = X.shape
        nowhere = np.full(columns, np.inf)
        if n < LEAST or not columns:
            return cls(np.zeros(columns), nowhere)
        centre, scale = np.nanmedian(X, axis=0), robust_scales(X)
        most = max(FEW, int(SHARE * n))
        reach = np.array(
            [_reach(np.abs(X[:, j] - centre[j]), scale[j], most, kept) for j in range(columns)]
        )
        fence = cls(centre, reach)
        return fence if fence.outside(X).sum() <= most else cls(centre, nowhere)

    def outside(self, X: Array) -> Mask:
        """Which rows are stray, (n,)."""
        return np.any(np.abs(X - self.centre) > self.reach, axis=1)


def _reach(distances: Array, scale: float, most: int, kept: Mask | None) -> float:
    """Distance behind which a few rows stand apart; infinite where there is no such gap."""
    if scale == 0:
        return np.inf
    known = ~np.isnan(distances)
    bound = distances[known & kept].max(initial=0.0) if kept is not None else 0.0
    ordered = np.sort(distances[known])
    tail = ordered[-(most + 1) :]
    apart = (tail[1:] > FAR * scale) & (tail[1:] > GAP * tail[:-1]) & (tail[1:] > bound)
    return float(tail[:-1][apart][0]) if apart.any() else np.inf


@torch.no_grad()
def learn_contamination(
    mixture: Mixture,
    z: Tensor,
    n_stray: float,
    weights: Tensor | None = None,
    *,
    given: float | None,
) -> None:
    r"""Set the share of the broad density beside a mixture at its start.

    .. math:: p(x) = (1 - \varepsilon) \sum_k \pi_k p_k(x) + \varepsilon h(x)

    By EM over :math:`\varepsilon` alone, under a uniform prior.

    Args:
        mixture: a contaminated one; another one is left alone.
        z: (n, D) rows to learn from, without missing cells.
        n_stray: rows beside them that are no component's, as many as they count.
        weights: (n,) what each row counts; None for one.
        given: the share, where it is not to be learned.
    """
    if not isinstance(mixture, ContaminatedMixture):
        return
    if given is None:
        gain = mixture.clean.log_prob(z) - mixture.broad.log_prob(z)
        counts = torch.ones_like(gain) if weights is None else weights
        gain = torch.cat([gain, gain.new_tensor([-torch.inf])])
        given = 1 - fitted_share(gain, torch.cat([counts, counts.new_tensor([n_stray])]))
    mixture.set_share(given)


@torch.no_grad()
def broad_share(mixture: Mixture, z: Tensor, log_prob: Tensor) -> Tensor:
    """The probability that rows are of the broad density beside a mixture, (n,).

    Args:
        mixture: zeros for one that has none.
        z: (n, D), missing cells NaN.
        log_prob: (n,) log-density of the known cells of each row.
    """
    if not isinstance(mixture, ContaminatedMixture):
        return torch.zeros_like(log_prob)
    return (mixture.broad_log_prob(z).to(log_prob) - log_prob).exp().clamp(max=1.0)
