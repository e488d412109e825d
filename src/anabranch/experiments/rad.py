"""RAD beside Real NVP on toys whose density is known: modes with empty space between them."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.experiments.pictures import png
from anabranch.models import rad, realnvp
from anabranch.objectives import Likelihood
from anabranch.problems import (
    GaussianMixtureProblem,
    Moons,
    Problem,
    TwoCircles,
    gaussian_grid,
    gaussian_ring,
)
from anabranch.training import FitOptions, ReduceOnPlateau, fit

Array = NDArray[np.float64]
N_TRAIN, N_VALIDATION, N_HELD_OUT, N_SAMPLES = 8192, 2048, 10_000, 10_000
EPOCHS = {"cpu": 188, "full": 600}  # of 16 steps each
SIZE = 300  # points of a grid along each side
# Of about equal size: 14 couplings against 12 and four folds.
MODELS: dict[str, dict[str, Any]] = {
    "RAD": {"n_folds": 4, "n_between": 2, "n_last": 6, "hidden": [32]},
    "RealNVP": {"n_layers": 14, "hidden": [32]},
}
GATED = ("ring", "circles")


PROBLEMS: dict[str, Problem] = {
    "ring": gaussian_ring(),
    "circles": TwoCircles(radial_std=0.05),
    "grid": gaussian_grid(),
    "moons": Moons(noise=0.05),
}


@dataclass
class _Fitted:
    """A flow behind standardised columns."""

    flow: Flow
    loc: Array
    scale: Array

    def log_prob(self, X: Array) -> Array:
        with torch.no_grad():
            parts = [self.flow.log_prob(z) for z in self.standardised(X).split(8192)]
        return torch.cat(parts).double().numpy() - np.log(self.scale).sum()

    def sample(self, n: int, seed: int) -> Array:
        z = self.flow.sample(n, generator=torch.Generator().manual_seed(seed))
        return z.double().numpy() * self.scale + self.loc

    def standardised(self, X: Array) -> Tensor:
        return torch.as_tensor((X - self.loc) / self.scale, dtype=torch.float32)


class Measured(NamedTuple):
    """A fit: nats above the entropy, stray samples in per cent, integral; last the fit itself."""

    problem: str
    seed: int
    model: str
    parameters: int
    gap: float
    far: float
    integral: float
    s: float
    fit: _Fitted


@experiment(
    "rad-toys", seeds=3, summary="RAD beside Real NVP: ring and grid of Gaussians, circles, moons"
)
def rad_toys(run: Run) -> Outcome:
    """Held-out density, stray samples and the integral of both, and pictures of the first seed."""
    rows, pictures = [], {}
    for name, problem in PROBLEMS.items():
        seeds = run.seeds if name in GATED else run.seeds[:1]
        entropy = problem.entropy(n=50_000).value
        found = [
            per_seed(seeds, measured, name, model, EPOCHS[run.budget], entropy) for model in MODELS
        ]
        rows += found
        fits = {model: part[0].fit for model, part in zip(MODELS, found, strict=True)}
        pictures[f"{name}.png"] = picture(problem, fits, run.seeds[0])
    every = joined(rows)
    settings = {**MODELS, "epochs": EPOCHS[run.budget], "rows": N_TRAIN, "batch_size": 512}
    return Outcome(_figures(every), settings, every.table(), pictures)


def measured(seed: int, name: str, model: str, epochs: int, entropy: float) -> Measured:
    """Fit one model to one draw of a problem, and judge it by others."""
    problem, started = PROBLEMS[name], time.perf_counter()
    fit = fitted(model, problem, seed, epochs)
    seconds = time.perf_counter() - started
    held_out, _ = problem.sample(N_HELD_OUT, random_state=10_000 + seed)
    size = sum(p.numel() for p in fit.flow.parameters())
    gap = float(-fit.log_prob(held_out).mean() - entropy)
    far = 100 * stray(problem, fit.sample(N_SAMPLES, seed))
    return Measured(name, seed, model, size, gap, far, integral(fit), seconds, fit)


def fitted(model: str, problem: Problem, seed: int, epochs: int) -> _Fitted:
    """Train a model on draws of the problem, and keep it at its best on others."""
    X, _ = problem.sample(N_TRAIN, random_state=seed)
    V, _ = problem.sample(N_VALIDATION, random_state=20_000 + seed)
    flow: Any = (rad if model == "RAD" else realnvp)(2, **MODELS[model], seed=seed)
    found = _Fitted(flow, X.mean(axis=0), X.std(axis=0))
    x = found.standardised(X)
    flow.transform.initialize(x)
    fit(
        Likelihood(flow),
        {"x": x},
        {"x": found.standardised(V)},
        options=FitOptions(
            max_epochs=epochs, learning_rate=5e-3, average=0.99, patience=None, progress=False
        ),
        schedules=[ReduceOnPlateau(patience=6)],
        generator=torch.Generator().manual_seed(seed),
    )
    flow.eval()
    return found


def stray(problem: Problem, X: Array) -> float:
    """Share of points further than four standard deviations from every mode; NaN without modes.

    Example:
        >>> stray(gaussian_ring(), np.array([[2.0, 0.0], [0.0, 0.0]]))
        0.5
    """
    if isinstance(problem, GaussianMixtureProblem):
        std = np.sqrt(problem.covariances[0, 0, 0])
        return float((cdist(X, problem.means).min(axis=1) > 4 * std).mean())
    if isinstance(problem, TwoCircles):
        off = np.abs(np.hypot(*X.T)[:, None] - problem.radii).min(axis=1)
        return float((off > 4 * problem.radial_std).mean())
    return float("nan")


def integral(model: _Fitted, size: int = 4500) -> float:
    """Sum of the density over a grid that reaches far beyond the data; folds make thin ridges."""
    axes = [
        np.linspace(m - 5 * s, m + 5 * s, size) for m, s in zip(model.loc, model.scale, strict=True)
    ]
    cell = float(np.prod([axis[1] - axis[0] for axis in axes]))
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    return float(np.exp(model.log_prob(points)).sum() * cell)


def _figures(rows: Rows[Measured]) -> list[Figure]:
    """Of the gated problems with targets, means over seeds; of the others as they are."""
    figures = []
    for name in PROBLEMS:
        own, other = (rows.where(problem=name, model=model) for model in MODELS)
        gap, theirs, gated = own.mean("gap"), other.mean("gap"), name in GATED
        figures += [
            _figure(f"{name}: NLL of RAD above the entropy, nats", gap, 0.15, gated),
            _figure(f"{name}: NLL of RAD above RealNVP, nats", gap - theirs, -0.05, gated),
            Figure(f"{name}: NLL of RealNVP above the entropy, nats", theirs),
        ]
        if name != "moons":
            figures += [
                _figure(f"{name}: stray samples of RAD, %", own.mean("far"), 1.0, gated),
                Figure(f"{name}: stray samples of RealNVP, %", other.mean("far")),
            ]
    rad_rows, other = (rows.where(model=model) for model in MODELS)
    off = float(np.abs(rad_rows.column("integral") - 1).max())
    more = rad_rows[-1].parameters / other[-1].parameters - 1
    figures.append(Figure("largest |integral of RAD - 1|", off, 1e-3, "lower"))
    return [*figures, Figure("|parameters of RAD / RealNVP - 1|", abs(more), 0.1, "lower")]


def _figure(name: str, value: float, target: float, gated: bool) -> Figure:
    return Figure(name, value, target, "lower") if gated else Figure(name, value)


def picture(problem: Problem, fits: dict[str, _Fitted], seed: int, n: int = 3000) -> bytes:
    """Truth, Real NVP and RAD beside each other: samples above, densities below; a PNG."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 3, sharex=True, sharey=True)
    X, _ = problem.sample(n, random_state=seed)
    low, high = X.min(axis=0) - 0.3 * X.std(axis=0), X.max(axis=0) + 0.3 * X.std(axis=0)
    axes = [np.linspace(a, b, SIZE) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    truth = np.exp(problem.log_prob(points)).reshape(SIZE, SIZE)
    panels = {"data": (X, truth)}
    for name in reversed(fits):
        density = np.exp(fits[name].log_prob(points)).reshape(SIZE, SIZE)
        panels[name] = (fits[name].sample(n, seed), density)
    for top, bottom, (name, (samples, density)) in zip(above, below, panels.items(), strict=True):
        top.scatter(*samples.T, s=1, linewidths=0, color="black")
        top.set(title=name, xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        # the square root, so that thin bridges show
        bottom.imshow(
            np.sqrt(density),
            origin="lower",
            extent=(low[0], high[0], low[1], high[1]),
            cmap="cividis",
            vmax=np.sqrt(truth.max()),
        )
    return png(figure, dpi=110)
