"""Flows on tori and spheres fitted to densities whose integral is known."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anabranch.distributions import Distribution
from anabranch.experiments import Figure, Outcome, Run, experiment
from anabranch.experiments.pictures import png
from anabranch.experiments.seeded import Rows, joined, per_seed
from anabranch.models import exponential_map_flow, sphere_flow, torus_flow
from anabranch.objectives import ReverseKL, importance_diagnostics
from anabranch.problems import Arm, ManifoldTarget
from anabranch.training import fit_reverse_kl

STEPS, SAMPLES, RATE, DRAWS = 2000, 256, 5e-3, 50_000
TORI = ("unimodal", "multimodal", "correlated")
TORUS: dict[str, Any] = {"inverse": True, "hidden": [32, 32], "activation": "tanh"}
MAPS: dict[str, dict[str, Any]] = {
    "spline": {"size": 8, "n_layers": 2},
    "moebius": {"size": 8, "n_layers": 2},
    "projection": {"size": 4, "n_layers": 3},
}
MOST_KL = {"spline": 0.005, "moebius": 0.005, "projection": 0.02}


RECURSIVE: dict[str, Any] = {"circle_map": "spline", "size": 16, "bins": 16, "n_layers": 2}


class Level(NamedTuple):
    """A flow on the sphere, and what it has to reach."""

    make: Callable[[int], Distribution]
    target: str
    kl: float
    ess: float | None


def _walks(terms: int, n_layers: int, kl: float, ess: float) -> Level:
    def make(seed: int) -> Distribution:
        return exponential_map_flow(3, terms=terms, n_layers=n_layers, seed=seed)

    return Level(make, "four", kl, ess)


SPHERES = {
    "recursive": Level(lambda seed: sphere_flow(3, seed=seed, **RECURSIVE), "four", 0.03, 0.95),
    "recursive, S^3": Level(lambda seed: sphere_flow(4, seed=seed, **RECURSIVE), "two", 0.05, None),
    "EMSRE(24, 1)": _walks(1, 24, 0.10, 0.85),
    "EMSRE(6, 5)": _walks(5, 6, 0.19, 0.75),
    "EMSRE(1, 12)": _walks(12, 1, 0.82, 0.42),
    "EMP": _walks(0, 24, 0.50, 0.43),
}


class Fitted(NamedTuple):
    """How good a flow is as an approximation of a target."""

    target: str
    flow: str
    seed: int
    kl: float
    ess: float
    log_z_error: float
    model: Distribution | None = None


def approximate(
    flow: Distribution,
    log_density: Callable[[Tensor], Tensor],
    seed: int,
    *,
    steps: int = STEPS,
    n_samples: int = SAMPLES,
    annealing: float = 0.2,
    log_z: float | None = None,
) -> tuple[float, float, float]:
    """Fit by reverse KL; KL, effective sample size, and the error of log Z in standard errors."""
    objective = ReverseKL(flow, log_density, seed=seed)
    fit_reverse_kl(
        objective, steps=steps, n_samples=n_samples, learning_rate=RATE, annealing=annealing
    )
    source = torch.Generator().manual_seed(10_000 + seed)
    found = importance_diagnostics(flow, log_density, DRAWS, log_z=log_z, generator=source)
    error = 0.0 if log_z is None else (found.log_z - log_z) / found.log_z_error
    return found.kl, found.ess, error


def on_torus(seed: int, name: str, circle_map: str) -> Fitted:
    """One flow for one target."""
    target = ManifoldTarget(name)
    flow = torus_flow(2, circle_map=circle_map, seed=seed, **MAPS[circle_map], **TORUS)
    found = approximate(flow, target.log_density, seed, log_z=target.log_z())
    return Fitted(name, circle_map, seed, *found, flow)


def seam(flow: Distribution) -> tuple[float, float]:
    """The largest jumps of the log-density, and of its gradient, where the circles are cut."""
    line = torch.linspace(0.1, 6.1, 60, dtype=torch.float64)
    flow = flow.double()
    sides = []
    for edge in (0.0, 2 * math.pi):
        x = torch.stack((torch.full_like(line, edge), line), -1).requires_grad_()
        value = flow.log_prob(x)
        sides.append((value.detach(), torch.autograd.grad(value.sum(), x)[0]))
    flow.float()
    jumps = [(a - b).abs().amax().item() for a, b in zip(*sides, strict=True)]
    return jumps[0], jumps[1]


@experiment("torus-targets", seeds=1, summary="flows on the torus fitted to unnormalised densities")
def torus_targets(run: Run) -> Outcome:
    """KL and effective sample size of three maps of the circle on three targets."""
    rows = {m: joined(per_seed(run.seeds, on_torus, name, m) for name in TORI) for m in MAPS}
    figures = []
    for name, fitted in rows.items():
        kl, ess = fitted.worst("kl", "lower"), fitted.worst("ess")
        figures.append(Figure(f"largest KL, {name}, nats", kl, MOST_KL[name], "lower"))
        if name == "projection":
            figures.append(Figure(f"least ESS, {name}", ess))
        else:
            figures.append(Figure(f"least ESS, {name}", ess, 0.99, "higher"))
    jumps = {name: seam(fitted[0].model) for name, fitted in rows.items() if fitted[0].model}
    figures.append(
        Figure("largest jump of log p at 0", max(j[0] for j in jumps.values()), 1e-6, "lower")
    )
    smooth = max(jumps[name][1] for name in ("moebius", "projection"))
    figures.append(Figure("largest jump of its gradient, smooth maps", smooth, 1e-6, "lower"))
    settings = {"steps": STEPS, "n_samples": SAMPLES, "learning_rate": RATE, "draws": DRAWS}
    every = joined(rows.values())
    pictures = {"torus.png": torus_picture(every)}
    return Outcome(figures, settings | {"flow": TORUS, "maps": MAPS}, every.table(), pictures)


def torus_picture(rows: Rows[Fitted], points: int = 120) -> bytes:
    """Each target above the flows."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    canvas = Canvas(figsize=(9, 11), layout="constrained")
    axes = canvas.subplots(1 + len(MAPS), len(TORI))
    axis = torch.linspace(0, 2 * math.pi, points)
    grid = torch.cartesian_prod(axis, axis)
    for column, name in enumerate(TORI):
        shown = [(name, ManifoldTarget(name).log_density(grid))]
        for m in MAPS:
            row = rows.where(target=name, flow=m)[0]
            assert row.model is not None
            with torch.no_grad():
                shown.append((f"{m}: KL {row.kl:.4f}", row.model.log_prob(grid)))
        for line, (title, log_density) in enumerate(shown):
            axes[line, column].imshow(
                log_density.exp().reshape(points, points).mT, origin="lower", cmap="viridis"
            )
            axes[line, column].set(title=title, xticks=[], yticks=[])
    return png(canvas, dpi=80)


def on_sphere(seed: int, name: str) -> Fitted:
    """One flow for its target."""
    level = SPHERES[name]
    target, flow = ManifoldTarget(level.target), level.make(seed)
    found = approximate(flow, target.log_density, seed, annealing=0.5, log_z=target.log_z())
    return Fitted(level.target, name, seed, *found, flow)


@experiment("sphere-targets", seeds=1, summary="flows on spheres fitted to unnormalised densities")
def sphere_targets(run: Run) -> Outcome:
    """KL and effective sample size of recursive and exponential-map flows."""
    rows = {name: per_seed(run.seeds, on_sphere, name) for name in SPHERES}
    figures = []
    for name, fitted in rows.items():
        level, kl, ess = SPHERES[name], fitted.worst("kl", "lower"), fitted.worst("ess")
        figures.append(Figure(f"largest KL, {name}, nats", kl, level.kl, "lower"))
        if level.ess is None:
            off = float(abs(fitted.column("log_z_error")).max())
            figures.append(Figure(f"integral, {name}, standard errors off", off, 3.0, "lower"))
        else:
            figures.append(Figure(f"least ESS, {name}", ess, level.ess, "higher"))
    every = joined(rows.values())
    settings = {"steps": STEPS, "n_samples": SAMPLES, "learning_rate": RATE, "annealing": 0.5}
    pictures = {"sphere.png": sphere_picture(every)}
    return Outcome(figures, settings | {"recursive": RECURSIVE}, every.table(), pictures)


def sphere_picture(rows: Rows[Fitted], points: int = 90) -> bytes:
    """The target of four modes and its flows on the whole ball, in Mollweide's projection."""
    from matplotlib.figure import Figure as Canvas

    longitude = torch.linspace(-math.pi, math.pi, 2 * points)
    latitude = torch.linspace(-math.pi / 2, math.pi / 2, points)
    grid = torch.cartesian_prod(latitude, longitude)
    flat = torch.stack((grid[:, 1].cos(), grid[:, 1].sin()), -1) * grid[:, :1].cos()
    x = torch.cat((flat, grid[:, :1].sin()), -1)
    shown = [("four modes", ManifoldTarget("four").log_density(x))]
    for row in rows.where(target="four", seed=rows[0].seed):
        assert row.model is not None
        with torch.no_grad():
            shown.append((f"{row.flow}: KL {row.kl:.3f}", row.model.log_prob(x)))
    canvas = Canvas(figsize=(10, 2.6 * ((len(shown) + 1) // 2)), layout="constrained")
    for number, (title, log_density) in enumerate(shown, 1):
        axis = canvas.add_subplot((len(shown) + 1) // 2, 2, number, projection="mollweide")
        image = log_density.exp().reshape(points, 2 * points)
        axis.pcolormesh(longitude, latitude, image, cmap="viridis", shading="auto")
        axis.set(title=title, xticklabels=[], yticklabels=[])
    return png(canvas, dpi=80)


# The angles from the tip to the shoulder: how far the links so far reach is then all that the next
# angle has to know of them, and the last one, which alone turns the whole arm, chooses the place.
ARM: dict[str, Any] = {
    "size": 16,
    "n_layers": 3,
    "inverse": True,
    "hidden": [64, 64],
    "activation": "silu",
}
# Slowly: what a place has got when the density is warm, a reparameterised gradient hardly moves.
ARM_STARTS = 2
ARM_FIT: dict[str, Any] = {"steps": 2 * STEPS, "n_samples": 2 * SAMPLES, "annealing": 0.8}


@experiment("arm", seeds=1, summary="the six angles of an arm whose tip is held at two places")
def arm(run: Run) -> Outcome:
    """Reverse KL on the torus in six dimensions."""
    rows = per_seed(run.seeds, _arm_of)
    figures = [
        Figure("least ESS", rows.worst("ess"), 0.3, "higher"),
        Figure("largest KL, nats", rows.worst("kl", "lower")),
    ]
    assert rows[0].model is not None
    angles = rows[0].model.sample(60, generator=torch.Generator().manual_seed(0)).flip(-1)
    settings = {"flow": ARM, "fit": ARM_FIT, "starts": ARM_STARTS, "learning_rate": RATE}
    return Outcome(figures, settings, rows.table(), {"arm.png": arm_picture(angles)})


def arm_density(angles: Tensor) -> Tensor:
    """The log-density of the arm's angles from the tip to the shoulder, (..., 6)."""
    return Arm().log_density(angles.flip(-1))


def _arm_of(seed: int) -> Fitted:
    """The better of some starts: many lose most of one place on their way."""
    fits = []
    for start in range(ARM_STARTS):
        own = seed + 10_000 * start
        flow = torus_flow(6, circle_map="spline", seed=own, **ARM)
        found = approximate(flow, arm_density, own, log_z=Arm().log_z(), **ARM_FIT)
        fits.append(Fitted("arm", "spline", seed, *found, flow))
    return min(fits, key=lambda fit: fit.kl)


def arm_picture(angles: Tensor) -> bytes:
    """Arms in the plane."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(5, 5), layout="constrained")
    axis = canvas.subplots()
    for links in Arm().joints(angles):
        x, y = torch.cat((links.new_zeros(1, 2), links)).unbind(-1)
        axis.plot(x, y, color="C0", alpha=0.25)
    axis.scatter(*zip(*Arm().centres, strict=True), color="C3", zorder=3)
    axis.set(title="Arms drawn from the flow; the places that hold the tip", aspect="equal")
    return png(canvas, dpi=90)
