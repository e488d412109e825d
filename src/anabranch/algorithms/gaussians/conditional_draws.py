"""Draws of some columns where others are known, of any density, by importance sampling."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians.conditioning import conditional
from anabranch.algorithms.gaussians.em import GaussianParameters

Array = NDArray[np.float64]
# A share of the draws comes from wider Gaussians, which bound the weights in the tails.
DEFENSIVE, WIDER = 0.25, 4.0
ROUNDS = 3  # of draws, each from Gaussians that the draws before have moved


class ConditionalDraws(NamedTuple):
    r"""Weighted draws of :math:`p(x_a \mid x_b)`.

    Attributes:
        samples: whole rows, (n, D), with the known columns as they were given.
        weights: (n,), which sum to one; all alike where the draws are exact.
        log_marginal: :math:`\log p(x_b)` in nats, exact or estimated.
        effective_sample_size: how many draws without weights are worth as much, of n.
    """

    samples: Array
    weights: Array
    log_marginal: float
    effective_sample_size: float

    def mean(self) -> Array:
        """The mean of the rows, (D,)."""
        return self.weights @ self.samples

    def resampled(self, n: int, random_state: np.random.RandomState) -> Array:
        """Rows that all count alike, (n, D), some of them more than once."""
        return self.samples[random_state.choice(len(self.samples), n, p=self.weights)]


def conditional_draws(
    log_prob: Callable[[Array], Array],
    proposal: GaussianParameters,
    known: NDArray[np.int64],
    values: Array,
    *,
    n: int,
    random_state: np.random.RandomState,
    exact: bool = False,
) -> ConditionalDraws:
    r"""Draw the other columns from a Gaussian mixture, and weigh them by the density.

    .. math:: w_i \propto \frac{p(x_a^i, x_b)}{q(x_a^i)}, \qquad
        p(x_b) \approx \frac1n \sum_i \frac{p(x_a^i, x_b)}{q(x_a^i)}

    At first q is the exact conditional of the proposal; in further rounds its Gaussians have the
    weighted moments of what was drawn (population Monte Carlo). A share of each is wider.

    Source: Cappé, Guillin, Marin, Robert (2004), "Population Monte Carlo"; Hesterberg (1995),
    "Weighted average importance sampling and defensive mixture distributions".

    Args:
        log_prob: of whole rows, (n, D) to (n,).
        proposal: a Gaussian mixture near the density.
        known: b, the numbers of the columns.
        values: x_b, as many.
        n: draws.
        random_state: their source.
        exact: whether the density is the proposal: its conditional is then drawn from as it is.

    Example:
        >>> both = np.array([[[1.0, 0.5], [0.5, 1.0]]])
        >>> one = GaussianParameters(np.ones(1), np.zeros((1, 2)), both)
        >>> source = np.random.RandomState(0)
        >>> told = conditional_draws(
        ...     one.log_prob, one, np.array([1]), np.array([2.0]),
        ...     n=50, random_state=source, exact=True,
        ... )
        >>> round(told.log_marginal, 3), round(told.effective_sample_size)
        (-2.919, 50)
    """
    others = np.setdiff1d(np.arange(proposal.means.shape[1]), known)
    q = conditional(proposal, known, values)
    rows = np.empty((n, proposal.means.shape[1]))
    rows[:, known] = values
    log_w = np.empty(0)
    for last in [True] if exact else [False] * (ROUNDS - 1) + [True]:
        used = q if exact else _widened(q)
        rows[:, others] = _drawn(used, n, random_state)
        log_w = log_prob(rows) - used.log_prob(rows[:, others])
        if not last:
            q = _moved(q, rows[:, others], log_w)
    top = log_w.max()
    if not np.isfinite(top):  # no draw where there is any density
        return ConditionalDraws(rows, np.full(n, 1 / n), -np.inf, 0.0)
    shares = np.exp(log_w - top)
    weights = shares / shares.sum()
    return ConditionalDraws(
        rows, weights, float(top + np.log(shares.mean())), float(1 / np.square(weights).sum())
    )


def _widened(q: GaussianParameters) -> GaussianParameters:
    """With a second, wider Gaussian around each."""
    weights = np.concatenate([(1 - DEFENSIVE) * q.weights, DEFENSIVE * q.weights])
    covariances = np.concatenate([q.covariances, WIDER * q.covariances])
    return GaussianParameters(weights, np.concatenate([q.means] * 2), covariances, q.diagonal)


def _drawn(q: GaussianParameters, n: int, random_state: np.random.RandomState) -> Array:
    labels = random_state.choice(len(q.weights), n, p=q.weights)
    noise = random_state.standard_normal((n, q.means.shape[1]))
    return q.means[labels] + np.einsum("nij,nj->ni", q.scale_tril[labels], noise)


def _moved(q: GaussianParameters, x: Array, log_w: Array) -> GaussianParameters:
    """Gaussians with the moments of weighted draws; those that got too few stay as they are."""
    if not np.isfinite(log_w.max()):
        return q
    w = np.exp(log_w - log_w.max())
    shares = q.responsibilities(x) * (w / w.sum())[:, None]
    weights, means, covariances = shares.sum(0), q.means.copy(), q.covariances.copy()
    for k, share in enumerate(shares.T):
        total = share.sum()
        if total**2 < 4 * x.shape[1] * np.square(share).sum():  # hardly more draws than columns
            continue
        means[k] = share @ x / total
        offsets = x - means[k]
        spread = (share[:, None] * offsets).T @ offsets / total
        covariances[k] = spread + 1e-3 * np.diag(np.diag(q.covariances[k]))
    weights = 0.9 * weights / weights.sum() + 0.1 * q.weights
    return GaussianParameters(weights, means, covariances)
