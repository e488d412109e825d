"""What planar and radial layers do to a normal and to a uniform distribution."""

from typing import NamedTuple

import torch
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.pictures import png
from anabranch.models import planar, radial
from anabranch.transforms import Planar, Transform

KINDS = {"planar": planar, "radial": radial}
LAYERS = (1, 2, 10)
STRENGTH = 2.0
POINTS, REACH = 400, 12.0


class Errors(NamedTuple):
    """What maps are off by, at most over planar and radial ones of all depths.

    Attributes:
        mass: of the density of a normal that was mapped, the integral less one.
        volume: of the log-determinant, from that of autograd.
        inverse: of a point that was mapped there and back.
    """

    mass: float
    volume: float
    inverse: float


@experiment(
    "planar-maps", seeds=5, summary="the pictures of planar and radial maps, and whether they hold"
)
def planar_maps(run: Run) -> Outcome:
    """Random maps of 1, 2 and 10 layers: their densities integrate to one."""
    rows = per_seed(run.seeds, errors)
    figures = [
        Figure("largest error of the mass", rows.worst("mass", "lower"), 1e-3, "lower"),
        Figure("largest error of a log-determinant", rows.worst("volume", "lower"), 1e-8, "lower"),
        Figure("largest error there and back", rows.worst("inverse", "lower"), 1e-8, "lower"),
    ]
    settings = {"layers": LAYERS, "strength": STRENGTH, "points": POINTS, "reach": REACH}
    pictures = {"maps.png": picture(run.seeds[0]), "one-map.png": picture_of_one()}
    return Outcome(figures, settings, rows.table(), pictures)


def maps(kind: str, n_layers: int, seed: int) -> Transform:
    """A random map of noise to points, in float64."""
    flow = KINDS[kind](2, n_layers=n_layers, inverse=True, seed=seed).double()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.transform.parameters():
            noise = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
            parameter.add_(STRENGTH * noise)
    return flow.transform


@torch.no_grad()
def errors(seed: int) -> Errors:
    """Of all kinds and depths."""
    found = [_errors_of(maps(kind, n, seed), seed) for kind in KINDS for n in LAYERS]
    return Errors(*(max(each) for each in zip(*found, strict=True)))


def _errors_of(made: Transform, seed: int) -> Errors:
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, term = made.decode(z)
    with torch.enable_grad():
        jacobians = [
            torch.autograd.functional.jacobian(lambda at: made.decode(at[None])[0][0], row)
            for row in z
        ]
    log_det = torch.linalg.det(torch.stack(jacobians)).abs().log()
    log_density = density(made, grid())
    cell = (2 * REACH / (POINTS - 1)) ** 2
    mass = float(log_density.detach().exp().sum()) * cell
    return Errors(
        mass=abs(mass - 1),
        volume=float((term - log_det).detach().abs().max()),
        inverse=float((made.encode(x)[0] - z).detach().abs().max()),
    )


def grid(reach: float = REACH, points: int = POINTS) -> Tensor:
    """Points of a square, (points², 2)."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


@torch.no_grad()
def density(made: Transform, x: Tensor, base: str = "normal") -> Tensor:
    """Log-density at x of mapped noise."""
    z, term = made.encode(x)
    if base == "normal":
        return -0.5 * z.square().sum(-1) - torch.log(torch.tensor(2 * torch.pi)) + term
    inside = (z.abs() < 3).all(-1)
    return torch.where(inside, term - torch.log(torch.tensor(36.0)), -torch.inf)


def picture(seed: int) -> bytes:
    """Both kinds of maps of both bases, as in the paper's figure 1."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    columns = [(kind, n) for kind in KINDS for n in LAYERS]
    canvas = Canvas(figsize=(1.9 * len(columns), 4.2), layout="constrained")
    axes = canvas.subplots(2, len(columns))
    places = grid(5.0, 200)
    for column, (kind, n) in enumerate(columns):
        made = maps(kind, n, seed)
        for row, base in enumerate(("normal", "uniform")):
            image = density(made, places, base).exp().reshape(200, 200).numpy()
            axes[row, column].imshow(image.T, origin="lower", cmap="viridis")
            axes[row, column].set(
                title=f"{kind}, K = {n}" if row == 0 else "", xticks=[], yticks=[]
            )
    return png(canvas, dpi=90)


@torch.no_grad()
def picture_of_one() -> bytes:
    """One planar map: where it moves a grid, and what becomes of a normal."""
    from matplotlib.figure import Figure as Canvas

    made = Planar(2).double()
    w, u = torch.tensor([2.0, 0.0]).double(), torch.tensor([1.5, 0.6]).double()
    made.set_parameters(w, u, 0.0)
    canvas = Canvas(figsize=(8, 4), layout="constrained")
    left, right = canvas.subplots(1, 2)
    line = torch.linspace(-3, 3, 200, dtype=torch.float64)
    for value in torch.linspace(-3, 3, 25, dtype=torch.float64).tolist():
        for points in (
            torch.stack((line, torch.full_like(line, value)), -1),
            torch.stack((torch.full_like(line, value), line), -1),
        ):
            left.plot(*made.encode(points)[0].mT.numpy(), color="#0072B2", linewidth=0.7)
    left.set(title="a grid, mapped: stretched across w, a ridge along u", aspect="equal")
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right.hexbin(*made.encode(z)[0].mT.numpy(), gridsize=60, cmap="viridis")
    right.set(title="a normal, mapped", aspect="equal")
    return png(canvas, dpi=90)
