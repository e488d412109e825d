"""Distribution functions by networks: SIC and SLC beside a kernel density, and their rate."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import trapezoid
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.models import sic
from anabranch.networks import CumulativeNetwork
from anabranch.problems import Mixture1D
from anabranch.procedures import TrainingRun, fit_cumulative, fit_quantiles
from anabranch.training import CosineDecay, FitOptions

Array = NDArray[np.float64]
PROBLEM = Mixture1D()
GRID = np.linspace(-6.0, 6.0, 2001)
ROWS, SIZES, RATE_SEEDS = 200, (100, 400, 1600, 6400), 5
HIDDEN, STEPS, RATE, AVERAGE = [10], {"smooth": 400, "stochastic": 1000}, 3e-2, 0.99
PLANE_ROWS, PLANE_STEPS, PLANE_RATE, PLANE_HIDDEN, DRAWS = 500, 800, 0.1, [20], 1000


class OneSet(NamedTuple):
    """Integrated squared errors of densities fitted to one set of rows, and of the cumulative.

    Attributes:
        silverman: of a Gaussian kernel density with Silverman's bandwidth.
        sic: with smooth targets.
        slc: with stochastic targets.
        distance: the largest error of SIC's distribution function.
    """

    silverman: float
    sic: float
    slc: float
    distance: float


class Sizes(NamedTuple):
    """Root of the mean squared error of the distribution function, for each of `SIZES`.

    ``p_value`` is the test of Kolmogorov and Smirnov of draws of a generator that was fitted to
    the largest set.
    """

    first: float
    second: float
    third: float
    fourth: float
    p_value: float


class Plane(NamedTuple):
    """A network of two columns: its largest error, and the share of its density below zero."""

    distance: float
    negative: float


@experiment("sic", seeds=20, summary="SIC and SLC beside a kernel density, and their rate")
def sic_sets(run: Run) -> Outcome:
    """A mixture of two Gaussians on the line, where density and distribution function are known."""
    sets = per_seed(run.seeds, one_set)
    sizes = per_seed(run.seeds[:RATE_SEEDS], by_size)
    plane = per_seed(run.seeds[:RATE_SEEDS], one_plane)
    kernel = float(np.median(sets.column("silverman")))
    smooth, stochastic = (float(np.median(sets.column(name))) for name in ("sic", "slc"))
    errors = np.array([float((sizes.column(f) ** 2).mean() ** 0.5) for f in Sizes._fields[:-1]])
    rate = exponent(errors)
    figures = [
        Figure("median ISE of SIC over that of Silverman's KDE", smooth / kernel, 1.0, "lower"),
        Figure("median ISE of SLC over that of Silverman's KDE", stochastic / kernel, 1.0, "lower"),
        Figure(f"exponent of the rate, {SIZES[0]} to {SIZES[-1]} rows", rate, 0.45, "higher"),
        Figure(
            f"largest |H - F| at {ROWS} rows", sets.worst("distance", "lower"),
            1.5 * 1.36 / ROWS**0.5, "lower",
        ),
        Figure("least KS p-value of the generator", sizes.worst("p_value"), 0.01, "higher"),
        Figure(
            f"plane: largest |H - F| at {PLANE_ROWS} rows", plane.mean("distance"), 0.06, "lower"
        ),
        Figure("plane: share of the density below zero", plane.mean("negative")),
        Figure("median ISE of Silverman's KDE", kernel),
        *(Figure(f"RMS |H - F| at {n} rows", float(e)) for n, e in zip(SIZES, errors, strict=True)),
        Figure("seconds per set, both fits", sets.seconds),
    ]  # fmt: skip
    settings = {
        "rows": ROWS, "sizes": list(SIZES), "hidden": HIDDEN, "steps": STEPS,
        "learning_rate": RATE, "average": AVERAGE, "plane hidden": PLANE_HIDDEN,
    }  # fmt: skip
    return Outcome(figures, settings, sets.table(silverman=".4f", sic=".4f", slc=".4f"))


def exponent(errors: Array) -> float:
    """The b of errors that fall as the number of rows to the power of -b."""
    return -float(np.polyfit(np.log(SIZES), np.log(errors), 1)[0])


def one_set(seed: int) -> OneSet:
    """Fit all three to the rows of this seed."""
    x = PROBLEM.sample(ROWS, random_state=seed)[0]
    truth = np.exp(PROBLEM.log_prob(GRID[:, None]))
    kernel = stats.gaussian_kde(x[:, 0], bw_method="silverman")(GRID)
    found = [fitted(x, seed, targets) for targets in STEPS]
    densities = [kernel, *(density for density, _ in found)]
    errors = [float(trapezoid((d - truth) ** 2, GRID)) for d in densities]
    return OneSet(
        errors[0], errors[1], errors[2], float(np.abs(found[0][1] - PROBLEM.cdf(GRID)).max())
    )


def by_size(seed: int) -> Sizes:
    """Fit to more and more rows, and make a generator of the most."""
    truth = PROBLEM.cdf(GRID)
    weights = np.exp(PROBLEM.log_prob(GRID[:, None]))
    errors = []
    for n in SIZES:
        _, cumulative = fitted(PROBLEM.sample(n, random_state=seed)[0], seed, "smooth")
        errors.append(float(np.average((cumulative - truth) ** 2, weights=weights) ** 0.5))
    x = PROBLEM.sample(SIZES[-1], random_state=seed)[0]
    rows, loc, scale = standardised(x)
    flow = sic(1, hidden=HIDDEN, inverse=True, seed=seed)
    fit_quantiles(flow, rows, training(seed, STEPS["stochastic"], len(x)))
    draws = flow.sample(DRAWS, generator=torch.Generator().manual_seed(seed)).double().numpy()
    p_value = float(stats.kstest(draws[:, 0] * scale + loc, PROBLEM.cdf).pvalue)
    return Sizes(errors[0], errors[1], errors[2], errors[3], p_value)


def one_plane(seed: int) -> Plane:
    """Fit a penalised network to a correlated normal, and compare on a grid."""
    law = stats.multivariate_normal(np.zeros(2), np.array([[1, 0.5], [0.5, 1]]))  # pyright: ignore
    x = torch.from_numpy(law.rvs(PLANE_ROWS, random_state=seed)).float()
    network = CumulativeNetwork(2, PLANE_HIDDEN, generator=torch.Generator().manual_seed(seed))
    how = training(seed, PLANE_STEPS, 2 * PLANE_ROWS).with_options(learning_rate=PLANE_RATE)
    fit_cumulative(network, x, how, penalty=10.0)
    side = np.linspace(-3, 3, 31)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    with torch.no_grad():
        cumulative, density = network.cumulative_and_density(torch.from_numpy(grid).float())
    distance = np.abs(cumulative.numpy() - law.cdf(grid)).max()
    return Plane(float(distance), float(-density.clamp_max(0).sum() / density.abs().sum()))


def fitted(x: Array, seed: int, targets: str) -> tuple[Array, Array]:
    """Density and distribution function on the grid of a fit to rows."""
    rows, loc, scale = standardised(x)
    flow = sic(1, hidden=HIDDEN, seed=seed)
    steps = STEPS[targets]
    fit_cumulative(
        flow, rows, training(seed, steps, len(x)), targets=targets  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return on_grid(flow, loc, scale)


@torch.no_grad()
def on_grid(flow: Flow, loc: float, scale: float) -> tuple[Array, Array]:
    """Density and distribution function, in the units of the rows."""
    z, term = flow.transform.encode(torch.from_numpy((GRID[:, None] - loc) / scale).float())
    density = (flow.base.log_prob(z) + term).exp().double().numpy() / scale
    return density, torch.sigmoid(z).squeeze(-1).double().numpy()


def standardised(x: Array) -> tuple[Tensor, float, float]:
    """Rows of mean zero and unit scale, and what they were."""
    loc, scale = float(x.mean()), float(x.std())
    return torch.from_numpy((x - loc) / scale).float(), loc, scale


def training(seed: int, steps: int, n: int) -> TrainingRun:
    """All rows at each step, with a rate that falls along a cosine."""
    options = FitOptions(
        max_epochs=steps, batch_size=n, learning_rate=RATE, patience=None, average=AVERAGE,
        min_evaluation_steps=steps, progress=False,
    )  # fmt: skip
    return TrainingRun(
        options, torch.Generator().manual_seed(seed), schedules=[CosineDecay(steps)], keep="last"
    )
