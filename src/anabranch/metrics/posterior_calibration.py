"""Whether posteriors that were fitted are right on average, told by simulations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kstest
from sklearn.utils import check_random_state

Array = NDArray[np.float64]
LEVELS = 99  # credible levels .01, .02, ..., .99


Simulator = Callable[[Array], ArrayLike]


class Coverage(NamedTuple):
    """Expected coverage: what share of true parameters the regions of each level hold.

    Attributes:
        levels: credibility of the regions, (L,).
        coverage: the share within, (L,); equal to levels for the true posterior.
    """

    levels: Array
    coverage: Array

    @property
    def error(self) -> float:
        """The median over levels of how far the coverage is from the level."""
        return float(np.median(np.abs(self.coverage - self.levels)))


def sbc_ranks(theta: ArrayLike, draws: ArrayLike) -> NDArray[np.int64]:
    r"""Ranks of true parameters among draws of their posteriors, (m, D), each in 0..n.

    .. math:: r_{ij} = \#\{s : \theta^{(s)}_{ij} < \theta_{ij}\}, \qquad
        \theta_i \sim p(\theta),\; x_i \sim p(x \mid \theta_i),\;
        \theta^{(s)}_i \sim q(\theta \mid x_i)

    They are uniform where q is the posterior.

    Args:
        theta: (m, D) what was simulated.
        draws: (m, n, D) of the posterior of each simulation.

    Raises:
        ValueError: where the shapes do not fit, or a value is not finite.

    Source: Talts et al. (2018), "Validating Bayesian inference algorithms with simulation-based
    calibration", arXiv:1804.06788.

    Example:
        >>> sbc_ranks([[0.5]], [[[0.1], [0.2], [0.9]]])
        array([[2]])
    """
    truth, drawn = _checked(theta, draws)
    return (drawn < truth[:, None]).sum(1)


def sbc_p_values(ranks: ArrayLike, n_draws: int) -> Array:
    """For each parameter the p-value of uniform ranks, by Kolmogorov and Smirnov's gap, (D,).

    Args:
        ranks: (m, D) as of `sbc_ranks`.
        n_draws: how many draws each rank is among.

    Raises:
        ValueError: for ranks that are not within 0..n_draws.

    Example:
        >>> sbc_p_values(np.arange(100)[:, None], 99).round(2)
        array([1.])
    """
    table = np.asarray(ranks)
    if table.ndim != 2 or not len(table) or table.min() < 0 or table.max() > n_draws:
        raise ValueError(f"ranks must be (m, D) within 0..{n_draws}, got shape {table.shape}")
    shares = (table + 0.5) / (n_draws + 1)
    return np.array([kstest(column, "uniform").pvalue for column in shares.T])


def interval_coverage(theta: ArrayLike, draws: ArrayLike, *, n_levels: int = LEVELS) -> Array:
    r"""Shares of true parameters within central intervals of each level, less it, (L, D).

    .. math:: e_j(q) = P\Bigl(\tfrac{1 - q}{2} \le F(\theta_j \mid x) \le \tfrac{1 + q}{2}\Bigr) - q

    F is the distribution function of the draws. Arguments and errors are those of `sbc_ranks`.

    Args:
        theta: (m, D).
        draws: (m, n, D).
        n_levels: L, levels 1/(L+1), ..., L/(L+1).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> theta, draws = rng.normal(size=(500, 1)), rng.normal(size=(500, 200, 1))
        >>> bool(abs(interval_coverage(theta, draws)).max() < 0.06)
        True
    """
    ranks = sbc_ranks(theta, draws)
    n = np.shape(draws)[1]
    off_centre = np.abs(2 * (ranks + 0.5) / (n + 1) - 1)
    levels = _levels(n_levels)
    return (off_centre <= levels[:, None, None]).mean(1) - levels[:, None]


def median_calibration_error(
    theta: ArrayLike, draws: ArrayLike, *, n_levels: int = LEVELS
) -> Array:
    r"""The median over levels of the absolute error of `interval_coverage`, (D,).

    Arguments and errors are its.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730, section 4.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> theta, draws = rng.normal(size=(500, 1)), 0.5 * rng.normal(size=(500, 200, 1))
        >>> bool(median_calibration_error(theta, draws)[0] > 0.1)  # intervals of half the width
        True
    """
    return np.median(np.abs(interval_coverage(theta, draws, n_levels=n_levels)), axis=0)


def tarp_coverage(
    theta: ArrayLike,
    draws: ArrayLike,
    *,
    references: ArrayLike | None = None,
    n_levels: int = LEVELS,
    random_state: int | np.random.RandomState | None = None,
) -> Coverage:
    r"""Expected coverage of regions around random points: a test of all parameters at once.

    .. math:: f_i = \frac1n \#\{s : |\theta^{(s)}_i - r_i| < |\theta_i - r_i|\}, \qquad
        \mathrm{coverage}(q) = P(f_i < q)

    Distances are measured after all columns were brought to the spread of the true parameters.

    Args:
        theta: (m, D) what was simulated.
        draws: (m, n, D) of the posterior of each simulation.
        references: (m, D) the points r, which may depend on what was observed; None for points
            that are uniform over the box of theta.
        n_levels: L, levels 1/(L+1), ..., L/(L+1).
        random_state: of the points.

    Raises:
        ValueError: where the shapes do not fit, or a value is not finite.

    Source: Lemos et al. (2023), "Sampling-based accuracy testing of posterior estimators for
    general inference", arXiv:2302.03026.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> theta, draws = rng.normal(size=(500, 3)), rng.normal(size=(500, 200, 3))
        >>> tarp_coverage(theta, draws, random_state=0).error < 0.05
        True
    """
    truth, drawn = _checked(theta, draws)
    if references is None:
        random = check_random_state(random_state)
        points = random.uniform(truth.min(0), truth.max(0), size=truth.shape)
    else:
        points = np.asarray(references, dtype=np.float64)
        if points.shape != truth.shape:
            raise ValueError(f"references must have shape {truth.shape}, got {points.shape}")
    scale = np.maximum(truth.std(0), np.finfo(np.float64).tiny)
    own = np.linalg.norm((truth - points) / scale, axis=-1)
    others = np.linalg.norm((drawn - points[:, None]) / scale, axis=-1)
    closer = ((others < own[:, None]).sum(1) + 0.5) / (drawn.shape[1] + 1)
    levels = _levels(n_levels)
    return Coverage(levels, (closer < levels[:, None]).mean(1))


def resimulation_error(observed: ArrayLike, simulated: ArrayLike) -> float:
    r"""Mean squared distance of what draws of the posterior simulate to what was observed.

    .. math:: \frac1{mn} \sum_{i,s} |S(\theta^{(s)}_i) - x_i|^2

    Args:
        observed: (m, C).
        simulated: (m, n, C) by the simulator S, from draws of the posterior of each.

    Raises:
        ValueError: where the shapes do not fit, or a value is not finite.

    Source: Ardizzone et al. (2018), arXiv:1808.04730, section 4.

    Example:
        >>> resimulation_error([[1.0, 2.0]], [[[1.0, 2.0], [1.0, 4.0]]])
        2.0
    """
    x, again = _checked(observed, simulated, names=("observed", "simulated"))
    return float(np.square(again - x[:, None]).sum(-1).mean())


@dataclass(frozen=True)
class Calibration:
    """What simulations say of posteriors.

    Attributes:
        ranks: (m, D) of the true parameters among the draws, see `sbc_ranks`.
        n_draws: how many draws each rank is among.
        p_values: (D,) of uniform ranks, see `sbc_p_values`; a small one speaks against the fit.
        median_error: (D,) see `median_calibration_error`.
        coverage: of all parameters together, see `tarp_coverage`.
        resimulation_error: see `resimulation_error`; None without a simulator.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = calibration(rng.normal(size=(200, 1)), rng.normal(size=(200, 99, 1)))
        >>> bool(found.p_values.min() > 0.01), found.resimulation_error is None
        (True, True)
    """

    ranks: NDArray[np.int64]
    n_draws: int
    p_values: Array
    median_error: Array
    coverage: Coverage
    resimulation_error: float | None = None

    def __str__(self) -> str:
        lines = [
            "p-values of ranks  " + " ".join(f"{p:.3f}" for p in self.p_values),
            "median error       " + " ".join(f"{e:.4f}" for e in self.median_error),
            f"coverage error     {self.coverage.error:.4f}",
        ]
        if self.resimulation_error is not None:
            lines.append(f"simulated again    {self.resimulation_error:.3g}")
        return "\n".join(lines)


def calibration(
    theta: ArrayLike,
    draws: ArrayLike,
    *,
    observed: ArrayLike | None = None,
    simulator: Simulator | None = None,
) -> Calibration:
    """All figures of calibration at once.

    Args:
        theta: (m, D) what was simulated.
        draws: (m, n, D) of the posterior of each simulation.
        observed: (m, C) what each simulated, for a simulator.
        simulator: takes parameters (k, D) and gives what they simulate, (k, C).

    Raises:
        ValueError: where the shapes do not fit, or a value is not finite.

    Example:
        >>> print(calibration([[0.0], [1.0]], [[[-1.0], [1.0]], [[0.0], [2.0]]]))
        p-values of ranks  0.500
        median error       0.5000
        coverage error     ...
    """
    truth, drawn = _checked(theta, draws)
    ranks, n = sbc_ranks(truth, drawn), drawn.shape[1]
    again = None
    if simulator is not None and observed is not None:
        flat = np.asarray(simulator(drawn.reshape(-1, drawn.shape[2])), dtype=np.float64)
        again = resimulation_error(observed, flat.reshape(len(drawn), n, -1))
    return Calibration(
        ranks,
        n,
        sbc_p_values(ranks, n),
        median_calibration_error(truth, drawn),
        tarp_coverage(truth, drawn, random_state=0),
        again,
    )


def _levels(n_levels: int) -> Array:
    if n_levels < 1:
        raise ValueError(f"n_levels must be at least 1, got {n_levels}")
    return np.arange(1, n_levels + 1) / (n_levels + 1)


def _checked(
    theta: ArrayLike, draws: ArrayLike, names: tuple[str, str] = ("theta", "draws")
) -> tuple[Array, Array]:
    truth, drawn = np.asarray(theta, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if truth.ndim != 2 or not truth.size:
        raise ValueError(f"{names[0]} must have shape (m, D), got {truth.shape}")
    if drawn.ndim != 3 or not drawn.size or (len(drawn), drawn.shape[2]) != truth.shape:
        raise ValueError(
            f"{names[1]} must have shape ({len(truth)}, n, {truth.shape[1]}), got {drawn.shape}"
        )
    for name, values in zip(names, (truth, drawn), strict=True):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinity, expected finite values")
    return truth, drawn
