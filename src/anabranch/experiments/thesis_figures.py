"""Figures 3.1 to 3.3 of the thesis, and which component takes the complex cluster."""

import math
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.distributions import Flow, Normal
from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.metrics import clustering_accuracy
from anabranch.transforms import Elementwise, Inverse, PReLU, TriangularAffine

Array = NDArray[np.float64]
SLOPES, DRAWN, GRID, EDGE = (0.1, 0.5, 5.0), 2000, 161, 6.0
LOCATION, FACTOR = (1.0, -0.5), ((1.6, 0.0), (0.9, 0.6))
ROWS, EPOCHS = 1000, 60
FLEXIBLE = {"name": "nsf", "n_layers": 4}


class Allocation(NamedTuple):
    """Two clusters, a ring segment and a Gaussian, by one flow and one Gaussian component.

    Attributes:
        first: whether the flow, listed first, took the complex cluster.
        second: the same where it is listed second.
        accuracy: of the clusters, the worse of both fits.
    """

    seed: int
    first: bool
    second: bool
    accuracy: float


@experiment(
    "thesis-figures", seeds=10, summary="Figures 3.1-3.3, and where the flexible component goes"
)
def thesis_figures(run: Run) -> Outcome:
    """The pictures are drawn from our layers; their densities are checked against draws."""
    found = per_seed(run.seeds, allocated)
    took = np.concatenate((found.column("first"), found.column("second"))).mean()
    shares = [quadrant_error(slope) for slope in SLOPES]
    figures = [
        Figure("affine: mass of the density on its grid", affine_mass(), 0.999, "higher"),
        Figure("PReLU: largest error of a quadrant's share", max(shares), 0.03, "lower"),
        Figure("share of fits whose flow took the complex cluster", float(took)),
        Figure("mean accuracy of these fits", found.mean("accuracy")),
    ]
    pictures = {"affine.png": affine_picture(), "prelu.png": prelu_picture()}
    settings = {"slopes": SLOPES, "rows": ROWS, "epochs": EPOCHS, "flow": FLEXIBLE}
    return Outcome(figures, settings, found.table(), pictures)


def affine_flow() -> Flow:
    """The Gaussian of Figure 3.1 after its affine map."""
    affine = TriangularAffine(2)
    affine.set_gaussian(torch.tensor(LOCATION), torch.tensor(FACTOR))
    return Flow(Normal(2), affine)


def prelu_flow(slope: float) -> Flow:
    """A Gaussian whose negative halves are multiplied by a slope, as in Figures 3.2 and 3.3."""
    law = PReLU()
    layer = Elementwise(law, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(law.bound * math.atanh(math.log(slope) / law.bound))
    return Flow(Normal(2), Inverse(layer))


def quadrant_error(slope: float) -> float:
    """A PReLU keeps each quadrant to itself: a quarter of the draws is in each."""
    x = prelu_flow(slope).sample(DRAWN, generator=torch.Generator().manual_seed(0))
    return float((torch.bincount(quadrants(x), minlength=4) / len(x) - 0.25).abs().max())


def quadrants(x: Tensor) -> Tensor:
    """Which quadrant a point of the plane is in, 0..3."""
    above = (x > 0).long()
    return 2 * above[:, 0] + above[:, 1]


def affine_mass() -> float:
    """The integral of the density of Figure 3.1 over what is drawn of it."""
    density, step = _density(affine_flow())
    return float(density.sum() * step**2)


def _density(flow: Flow) -> tuple[Array, float]:
    side = torch.linspace(-EDGE, EDGE, GRID)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        return flow.log_prob(grid).exp().reshape(GRID, GRID).double().numpy(), float(side.diff()[0])


def two_clusters(seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Half a ring, and a Gaussian apart from it."""
    random = np.random.RandomState(seed)
    angle = random.uniform(0, np.pi, ROWS // 2)
    arc = 3 * np.stack((np.cos(angle), np.sin(angle)), 1)
    arc += 0.15 * random.standard_normal(arc.shape)
    blob = [0.0, -3.0] + 0.6 * random.standard_normal((ROWS // 2, 2))
    return np.concatenate((arc, blob)), np.repeat([0, 1], ROWS // 2)


def allocated(seed: int) -> Allocation:
    """Fit a flow and a Gaussian, in both orders."""
    X, y = two_clusters(seed)
    taken, accuracies = [], []
    for place in (0, 1):
        flows: list[Any] = [None, None]
        flows[place] = FLEXIBLE
        mixture = FlowMixture(2, flow=flows, max_epochs=EPOCHS, random_state=seed).fit(X)
        found = mixture.predict(X)
        taken.append(bool((found[y == 0] == place).mean() > 0.5))
        accuracies.append(clustering_accuracy(y, found))
    return Allocation(seed, taken[0], taken[1], min(accuracies))


def affine_picture() -> bytes:
    """Figure 3.1: the density before and after the map."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    canvas = Canvas(figsize=(7, 3.5), layout="constrained")
    for axis, flow, title in zip(
        canvas.subplots(1, 2),
        (Flow(Normal(2), TriangularAffine(2)), affine_flow()),
        "ab",
        strict=True,
    ):
        density, _ = _density(flow)
        ends = (-EDGE, EDGE, -EDGE, EDGE)
        axis.imshow(density.T, origin="lower", extent=ends, cmap="viridis")
        axis.set_title(f"({title})")
    return _png(canvas)


def prelu_picture() -> bytes:
    """Figures 3.2 and 3.3: draws in the colours of their quadrants."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(12, 3.3), layout="constrained")
    flows = [Flow(Normal(2), TriangularAffine(2)), *(prelu_flow(slope) for slope in SLOPES)]
    titles = ["Gaussian", *(f"slope {slope:g}" for slope in SLOPES)]
    for axis, flow, title in zip(canvas.subplots(1, 4), flows, titles, strict=True):
        x = flow.sample(DRAWN, generator=torch.Generator().manual_seed(0))
        axis.scatter(*x.T.numpy(), c=quadrants(x).numpy(), s=2, cmap="viridis")
        axis.set_title(title)
        axis.set_aspect("equal", adjustable="datalim")
    return _png(canvas)


def _png(canvas: Any) -> bytes:
    buffer = BytesIO()
    canvas.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
