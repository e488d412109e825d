"""How good an approximation is, told by its importance weights."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp


class ImportanceDiagnostics(NamedTuple):
    r"""What importance weights :math:`w_n = \tilde p(x_n) / q(x_n)`, x_n from q, tell.

    Attributes:
        log_z: estimate of the log of the integral of :math:`\tilde p`, in nats.
        log_z_error: its standard error.
        ess: effective sample size as a share of the draws,
            :math:`(\sum w)^2 / (n \sum w^2)`; 1 for a perfect q.
        kl: :math:`\mathrm{KL}(q \| p) = \mathbb{E}_q[-\log w] + \log Z`, in nats; with the true
            log Z where it was given, with the estimate otherwise.
        kl_error: its standard error.
    """

    log_z: float
    log_z_error: float
    ess: float
    kl: float
    kl_error: float


def importance_diagnostics(
    log_weights: ArrayLike, log_z: float | None = None
) -> ImportanceDiagnostics:
    r"""Judge q as an approximation of p = p~ / Z by draws from q.

    With an estimated log Z the KL is what the bound lacks, as far as the draws can tell: a mode
    of p that q never visits shows in neither. With the true log Z it is unbiased.

    Args:
        log_weights: :math:`\log \tilde p(x_n) - \log q(x_n)`, (n,) in nats; -inf is allowed.
        log_z: the true log Z, where it is known.

    Raises:
        ValueError: for fewer than two weights, NaN, +inf, or -inf only.

    Example:
        >>> found = importance_diagnostics([0.0, 0.0, 1.0])
        >>> round(found.log_z, 3), round(found.ess, 3), round(found.kl, 3)
        (0.453, 0.79, 0.119)
    """
    logs = _checked(log_weights)
    n = len(logs)
    total = np.asarray(logsumexp(logs))
    relative = np.exp(logs - total) * n  # weights with mean one
    estimate = total - np.log(n)
    with np.errstate(invalid="ignore"):  # a weight of zero makes the KL infinite
        influence = (relative if log_z is None else 0.0) - logs
        kl_error = influence.std(ddof=1) / np.sqrt(n)
    return ImportanceDiagnostics(
        log_z=float(estimate),
        log_z_error=float(relative.std(ddof=1) / np.sqrt(n)),
        ess=float(n / np.square(relative).sum()),
        kl=float((estimate if log_z is None else log_z) - logs.mean()),
        kl_error=float(kl_error),
    )


def pareto_k(log_weights: ArrayLike) -> float:
    r"""The shape of the tail of importance weights: above 0.7 what they estimate is not reliable.

    The largest weights follow a generalised Pareto distribution
    :math:`P(w > t) \sim (1 + k t / \sigma)^{-1/k}`; moments of order 1/k and above do not exist.

    Args:
        log_weights: :math:`\log \tilde p(x_n) - \log q(x_n)`, (n,) in nats; -inf is allowed.

    Returns:
        k; infinite where there are too few finite weights to tell.

    Raises:
        ValueError: for fewer than two weights, NaN, +inf, or -inf only.
        ImportError: where arviz-stats is not installed.

    Source: Vehtari, Simpson, Gelman, Yao, Gabry (2024), "Pareto smoothed importance sampling",
    arXiv:1507.02646.

    Example:
        >>> weights = np.random.RandomState(0).exponential(size=10_000)
        >>> pareto_k(0.2 * weights) < 0.5 < pareto_k(0.9 * weights)  # of tails 0.2 and 0.9
        True
    """
    logs = _checked(log_weights)
    try:
        from arviz_stats.base.array import array_stats
    except ModuleNotFoundError as error:
        message = 'pareto_k needs arviz-stats: pip install "anabranch[diagnostics]"'
        raise ImportError(message) from error
    # arviz takes the negative logarithm, as it stands in leave-one-out cross-validation
    return float(array_stats.psislw(-logs[np.isfinite(logs)])[1])


def _checked(log_weights: ArrayLike) -> NDArray[np.float64]:
    logs = np.asarray(log_weights, dtype=np.float64)
    if logs.ndim != 1 or len(logs) < 2:
        raise ValueError(f"log_weights must have shape (n,) with n >= 2, got {logs.shape}")
    if np.isnan(logs).any() or logs.max() in (np.inf, -np.inf):
        raise ValueError("log_weights must be below infinity, with at least one finite, and no NaN")
    return logs
