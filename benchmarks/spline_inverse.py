"""How exactly splines invert in single precision, as their parameters grow, beside zuko and nflows.

100 000 points of the box, 8 bins, raw parameters drawn from a normal times 1, 5 and 20; each
library's own law makes knots of them. A peer that raises has inverted none.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.transforms import RationalQuadratic
from benchmarks.recording import record

BINS, BOUND, POINTS, TOLERANCE = 8, 5.0, 100_000, 1e-3
Again = Callable[[Tensor, Tensor], Tensor]


def anabranch(x: Tensor, params: Tensor) -> Tensor:
    spline = RationalQuadratic(BINS, BOUND)
    return spline.decode(spline.encode(x, params)[0], params)[0]


def zuko(x: Tensor, params: Tensor) -> Tensor:
    from zuko.transforms import MonotonicRQSTransform

    parts = params.mT.split([BINS, BINS, BINS - 1], -1)
    spline = MonotonicRQSTransform(*parts, bound=BOUND)
    return spline.inv(spline(x))


def nflows(x: Tensor, params: Tensor) -> Tensor:
    from nflows.transforms.splines import unconstrained_rational_quadratic_spline as spline

    parts = params.mT.split([BINS, BINS, BINS - 1], -1)
    y, _ = spline(x, *parts, tails="linear", tail_bound=BOUND)
    return spline(y, *parts, inverse=True, tails="linear", tail_bound=BOUND)[0]


def lost(again: Again, x: Tensor, params: Tensor) -> tuple[float, float]:
    """Share of points that do not come back, and the largest error of those that are finite."""
    try:
        error = (again(x, params) - x).abs()
    except (AssertionError, ValueError) as problem:
        print(f"  {again.__name__}: {type(problem).__name__} {problem}")
        return 1.0, float("inf")
    return (~(error < TOLERANCE)).float().mean().item(), error[error.isfinite()].max().item()


def run() -> list[Figure]:
    warnings.simplefilter("ignore")  # of peers
    generator = torch.Generator().manual_seed(0)
    x = (2 * torch.rand(POINTS, generator=generator) - 1) * BOUND
    raw = torch.randn(3 * BINS - 1, POINTS, generator=generator)
    figures = []
    for scale in (1, 5, 20):
        for again in (anabranch, zuko, nflows):
            share, worst = lost(again, x, scale * raw)
            print(f"scale {scale:3d} {again.__name__:10s} lost {share:8.2%}  worst {worst:.1e}")
            target = (0.0, "lower") if again is anabranch else ()
            name = f"scale {scale}, {again.__name__}: share of points off by {TOLERANCE:g} or more"
            figures.append(Figure(name, share, *target))
    return figures


if __name__ == "__main__":
    record("bench-spline-inverse", __doc__, run, settings={"bins": BINS, "points": POINTS})
