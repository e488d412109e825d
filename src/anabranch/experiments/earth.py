"""Volcanoes, earthquakes, floods and fires on the ball, at a stated resolution."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.directions import (
    fit_directions,
    from_degrees,
    kernel_mixture,
    shared_places,
)
from anabranch.experiments import Figure, Outcome, Run, experiment
from anabranch.experiments.seeded import joined, per_seed

Array = NDArray[np.float64]

EARTH_KM, FLOOR_KM, COMPONENTS = 6371.0, 50.0, 2500
FILES = {"volcano": "volerup", "earthquake": "quakes_all", "flood": "flood", "fire": "fire"}
LEVELS = {"flood": 0.40, "earthquake": -0.27, "fire": -1.55}
# as printed, at no resolution: copies of training points stand among the test points
PRINTED = {
    "Riemannian score model": (-4.92, -0.19, 0.48, -1.33),
    "Riemannian flow matching": (-7.93, -0.28, 0.42, -1.86),
}


class Fit(NamedTuple):
    """Mean negative log-likelihoods of test points, in nats."""

    data: str
    seed: int
    kernels: float
    mixture: float
    shared: float
    seconds: float


def places(folder: Path, name: str) -> Array:
    """The places of a data set as unit vectors, each in its row as often as it stands there."""
    table = np.genfromtxt(folder / f"{FILES[name]}.csv", delimiter=",", comments="#")
    table = table[np.isfinite(table).all(1)]
    return from_degrees(table[:, 0], table[:, 1])


def split(points: Array, seed: int, *, distinct: bool) -> tuple[Array, Array]:
    """Training and test points, nine to one; distinct places only where it is said."""
    if distinct:
        points = np.unique(points, axis=0)
    order = np.random.default_rng(seed).permutation(len(points))
    cut = int(0.9 * len(points))
    return points[order[:cut]], points[order[cut:]]


def one_fit(seed: int, name: str, points: Array) -> Fit:
    """Kernels and a mixture at a floor of 50 km."""
    train, test = split(points, seed, distinct=name == "volcano")
    floor, started = FLOOR_KM / EARTH_KM, time.process_time()
    kernels = kernel_mixture(train, floor=floor, random_state=seed)
    seconds = time.process_time() - started
    size = min(COMPONENTS, len(train))
    mixture = fit_directions(train, size, floor=floor, random_state=seed)
    first, second = (-float(model.log_prob(test).mean()) for model in (kernels, mixture))
    return Fit(name, seed, first, second, shared_places(train, test), seconds)


@experiment("earth", seeds=5, summary="events on the earth at a stated resolution")
def earth(run: Run) -> Outcome:
    """Test loss of kernels and mixtures no narrower than 50 km, beside the printed table."""
    folder = run.path("earth")
    rows = {n: per_seed(run.seeds, one_fit, n, places(folder, n)) for n in FILES}
    figures = [
        Figure(f"{name}, floor of 50 km, nats", rows[name].mean("kernels"), level, "lower")
        for name, level in LEVELS.items()
    ]
    figures += [
        Figure("volcano, distinct places, nats", rows["volcano"].mean("kernels")),
        *(
            Figure(f"{n}, {COMPONENTS} components, nats", r.mean("mixture"))
            for n, r in rows.items()
        ),
        *(Figure(f"{n}, test places also in training", r.mean("shared")) for n, r in rows.items()),
        *(
            Figure(f"{n}, {system}, as printed, at no resolution", value)
            for system, values in PRINTED.items()
            for n, value in zip(FILES, values, strict=True)
        ),
    ]
    slowest = max(r.worst("seconds", "lower") for r in rows.values())
    figures.append(Figure("slowest fit, seconds of one processor", slowest, 60.0, "lower"))
    settings = {"floor_km": FLOOR_KM, "n_components": COMPONENTS, "split": "90/10"}
    return Outcome(figures, settings, joined(rows.values()).table())
