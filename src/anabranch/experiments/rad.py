"""RAD beside Real NVP on toys whose density is known: modes with empty space between them."""

import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.models import rad, realnvp
from anabranch.objectives import Likelihood
from anabranch.problems import GaussianMixtureProblem, Moons, Problem, TwoCircles
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
HEADER = ["problem", "seed", "model", "parameters", "gap", "far %", "integral", "s"]


def gaussians(means: Array, std: float) -> GaussianMixtureProblem:
    """Round Gaussians of equal weights.

    Example:
        >>> gaussians(np.zeros((1, 2)), 1.0).n_components
        1
    """
    n, d = means.shape
    return GaussianMixtureProblem(np.full(n, 1 / n), means, np.tile(std**2 * np.eye(d), (n, 1, 1)))


def ring(n: int = 8, radius: float = 2.0, std: float = 0.1) -> GaussianMixtureProblem:
    """Gaussians on a circle.

    Example:
        >>> ring().means.shape
        (8, 2)
    """
    angle = 2 * np.pi * np.arange(n) / n
    means: Array = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return gaussians(means, std)


def grid(n: int = 3, spacing: float = 1.5, std: float = 0.1) -> GaussianMixtureProblem:
    """Gaussians on a square grid of n by n.

    Example:
        >>> grid().means.shape
        (9, 2)
    """
    axis = np.asarray(spacing * (np.arange(n) - (n - 1) / 2), dtype=np.float64)
    means = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return gaussians(means, std)


PROBLEMS: dict[str, Problem] = {
    "ring": ring(),
    "circles": TwoCircles(radial_std=0.05),
    "grid": grid(),
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


@experiment(
    "rad-toys", seeds=3, summary="RAD beside Real NVP: ring and grid of Gaussians, circles, moons"
)
def rad_toys(run: Run) -> Outcome:
    """Held-out density, stray samples and the integral of both, and pictures of the first seed."""
    rows, pictures = [], {}
    for name, problem in PROBLEMS.items():
        seeds = run.seeds if name in GATED else run.seeds[:1]
        entropy = problem.entropy(n=50_000).value
        for seed in seeds:
            fits = {}
            for model in MODELS:
                started = time.perf_counter()
                fits[model] = fitted(model, problem, seed, EPOCHS[run.budget])
                seconds = time.perf_counter() - started
                numbers = _measured(fits[model], problem, entropy, seed)
                rows.append([name, seed, model, _size(fits[model].flow), *numbers, seconds])
            if seed == run.seeds[0]:
                pictures[f"{name}.png"] = picture(problem, fits, seed)
    settings = {**MODELS, "epochs": EPOCHS[run.budget], "rows": N_TRAIN, "batch_size": 512}
    return Outcome(_figures(rows), settings, text_table(HEADER, rows), pictures)


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
        >>> stray(ring(), np.array([[2.0, 0.0], [0.0, 0.0]]))
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


def _measured(model: _Fitted, problem: Problem, entropy: float, seed: int) -> list[float]:
    held_out, _ = problem.sample(N_HELD_OUT, random_state=10_000 + seed)
    gap = -model.log_prob(held_out).mean() - entropy
    far = 100 * stray(problem, model.sample(N_SAMPLES, seed))
    return [float(gap), far, integral(model)]


def _size(flow: Flow) -> int:
    return sum(p.numel() for p in flow.parameters())


def _figures(rows: list[list[Any]]) -> list[Figure]:
    """Of the gated problems with targets, means over seeds; of the others as they are."""
    figures, sizes = [], {row[2]: row[3] for row in rows}
    for name in PROBLEMS:
        own, other = (_means(rows, name, model) for model in MODELS)
        gated = name in GATED
        figures += [
            _figure(f"{name}: NLL of RAD above the entropy, nats", own[0], 0.15, gated),
            _figure(f"{name}: NLL of RAD above RealNVP, nats", own[0] - other[0], -0.05, gated),
            Figure(f"{name}: NLL of RealNVP above the entropy, nats", other[0]),
        ]
        if name != "moons":
            figures += [
                _figure(f"{name}: stray samples of RAD, %", own[1], 1.0, gated),
                Figure(f"{name}: stray samples of RealNVP, %", other[1]),
            ]
    off = [abs(row[6] - 1) for row in rows if row[2] == "RAD"]
    more = sizes["RAD"] / sizes["RealNVP"] - 1
    figures.append(Figure("largest |integral of RAD - 1|", max(off), 1e-3, "lower"))
    return [*figures, Figure("|parameters of RAD / RealNVP - 1|", abs(more), 0.1, "lower")]


def _figure(name: str, value: float, target: float, gated: bool) -> Figure:
    return Figure(name, value, target, "lower") if gated else Figure(name, value)


def _means(rows: list[list[Any]], problem: str, model: str) -> Array:
    return np.mean([row[4:6] for row in rows if (row[0], row[2]) == (problem, model)], axis=0)


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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
