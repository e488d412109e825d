"""Planar and radial flows fitted to the four energies of Rezende and Mohamed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.distributions import Distribution, Flow
from anabranch.experiments import Figure, Outcome, Run, experiment, text_table
from anabranch.experiments.pictures import png
from anabranch.metrics import ImportanceDiagnostics
from anabranch.models import planar, radial
from anabranch.networks import select_component
from anabranch.objectives import ReverseKL, importance_diagnostics
from anabranch.problems import Energy
from anabranch.training import fit_reverse_kl

ENERGIES = tuple(Energy(name) for name in ("U1", "U2", "U3", "U4"))
TARGETS = {"U1": 0.02, "U2": 0.12, "U3": 0.15, "U4": 0.06}
LAYERS = (2, 8, 32)
STARTS, STEPS, SAMPLES, RATE, DRAWS = 4, 4000, 256, 5e-3, 50_000
MEANS = ("kl", "ess", "log_z")
HEADER = ["flow", "energy", "KL", "ESS", "log Z", "true log Z"]


class Approximation(NamedTuple):
    """A flow that was fitted to an energy, and how good it is."""

    energy: Energy
    flow: Distribution
    found: ImportanceDiagnostics


@experiment("planar-vi", seeds=1, summary="planar flows fitted to unnormalised densities")
def planar_vi(run: Run) -> Outcome:
    """KL of 2, 8 and 32 planar layers, and of 32 radial ones, to U1 to U4."""
    kinds = [*((planar, n) for n in LAYERS), (radial, LAYERS[-1])]
    found = {
        f"{make.__name__} {n}": [_of_depth(make, n, seed) for seed in run.seeds]
        for make, n in kinds
    }
    *_, deepest, round_one = found
    figures = [
        Figure(
            f"KL to {e.name}, {deepest} layers, nats", mean_kl(found[deepest], k), limit, "lower"
        )
        for k, (e, limit) in enumerate(zip(ENERGIES, TARGETS.values(), strict=True))
    ]
    figures.append(
        Figure(f"KL to U1, {round_one} layers, nats", mean_kl(found[round_one], 0), 0.5, "lower")
    )
    figures += [
        Figure(f"KL to {e.name}, {name} layers, nats", mean_kl(parts, k))
        for name, parts in found.items()
        for k, e in enumerate(ENERGIES)
        if name != deepest and (name, k) != (round_one, 0)
    ]
    settings = {
        "starts": STARTS, "steps": STEPS, "n_samples": SAMPLES, "learning_rate": RATE,
        "annealing": 0.5, "learn_base": True, "draws": DRAWS,
    }  # fmt: skip
    first = {name: parts[0] for name, parts in found.items()}
    pictures = {"energies.png": picture({name: first[name] for name in first if "planar" in name})}
    return Outcome(figures, settings, table(found), pictures)


def _of_depth(make: Callable[..., Flow], n_layers: int, seed: int) -> list[Approximation]:
    settings = {"n_layers": n_layers, "inverse": True, "learn_base": True, "seed": seed}
    return approximate(lambda shape: make(2, batch_shape=shape, **settings), seed)


def approximate(
    make: Callable[[tuple[int, int]], Flow],
    seed: int,
    *,
    starts: int | None = None,
    steps: int | None = None,
    rate: float | None = None,
) -> list[Approximation]:
    """Fit one flow to each energy: of some starts that are trained at once, the best.

    The best is the one with the lowest free energy, which needs no log Z.
    """
    flow = make((len(ENERGIES), starts or STARTS))
    objective = ReverseKL(flow, log_densities, seed=seed)
    fit_reverse_kl(objective, steps=steps or STEPS, n_samples=SAMPLES, learning_rate=rate or RATE)
    with torch.no_grad():
        terms = objective.eval()({"draw": torch.zeros(10_000)}).terms
    energies = torch.stack(list(terms.values())).reshape(len(ENERGIES), -1)
    return [
        judged(energy, select_component(select_component(flow, k), best), seed)
        for k, (energy, best) in enumerate(zip(ENERGIES, energies.argmin(1).tolist(), strict=True))
    ]


def log_densities(x: Tensor) -> Tensor:
    """Of points (4, starts, N, 2), each energy's own."""
    return torch.stack([energy.log_density(x[k]) for k, energy in enumerate(ENERGIES)])


def judged(energy: Energy, flow: Distribution, seed: int) -> Approximation:
    """Judge a flow by fresh draws and the log Z of quadrature."""
    source = torch.Generator().manual_seed(10_000 + seed)
    found = importance_diagnostics(
        flow, energy.log_density, DRAWS, log_z=energy.log_z(), generator=source
    )
    return Approximation(energy, flow, found)


def mean_kl(parts: list[list[Approximation]], k: int) -> float:
    """KL to energy k, mean over seeds."""
    return float(np.mean([part[k].found.kl for part in parts]))


def table(found: dict[str, list[list[Approximation]]]) -> str:
    """KL, effective sample size, and log Z as importance sampling finds it; means over seeds."""
    rows = []
    for name, parts in found.items():
        for k, energy in enumerate(ENERGIES):
            judgements = [part[k].found for part in parts]
            means = [float(np.mean([getattr(d, n) for d in judgements])) for n in MEANS]
            rows.append([name, energy.name, *means, energy.log_z()])
    return text_table(HEADER, rows)


def picture(found: dict[str, list[Approximation]], points: int = 160) -> bytes:
    """The energies, and the flows of 2, 8 and 32 layers below them, as in the paper's figure 3."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    columns = len(ENERGIES)
    canvas = Canvas(figsize=(2.6 * columns, 2.6 * (1 + len(found))), layout="constrained")
    axes = canvas.subplots(1 + len(found), columns, squeeze=False)
    axis = torch.linspace(-4.5, 4.5, points)
    grid = torch.cartesian_prod(axis, axis)
    for k, energy in enumerate(ENERGIES):
        _show(axes[0, k], energy.log_density(grid), energy.name)
        for row, (name, parts) in enumerate(found.items(), 1):
            with torch.no_grad():
                log_prob = parts[k].flow.log_prob(grid)
            _show(axes[row, k], log_prob, f"{name}: KL {parts[k].found.kl:.3f}")
    return png(canvas, dpi=90)


def _show(axis: Any, log_density: Tensor, title: str) -> None:
    size = int(len(log_density) ** 0.5)
    image: NDArray[np.float32] = log_density.exp().reshape(size, size).numpy()
    axis.imshow(image.T, origin="lower", cmap="viridis")
    axis.set(title=title, xticks=[], yticks=[])
