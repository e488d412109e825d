"""Draw the pictures of the documentation: python docs/make_pictures.py [FOLDER]."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anabranch import FlowMixture, GaussianMixture
from anabranch.problems import Pinwheel, TwoCircles
from anabranch.reports import save_cluster_figure
from anabranch.reports.drawing import draw_dots, draw_regions
from anabranch.reports.grid import Grid, evaluate_grid

PICTURES = Path(__file__).parent / "pictures"


class Gaussians(GaussianMixture):
    """A Gaussian mixture, whose one posterior is asked for as the figures ask for it."""

    def predict_proba(self, X: Any, *, method: str = "exact") -> NDArray[np.float64]:
        """By Bayes' rule, which is all there is."""
        return super().predict_proba(X)


def draw_pinwheel(folder: Path) -> None:
    """The pinwheel, as default fits of flows and of Gaussians without labels see it."""
    X, _ = Pinwheel().sample_per_component(512, random_state=0)
    mixture = FlowMixture(n_components=5, random_state=0).fit(X)
    save_cluster_figure(mixture, X, folder / "pinwheel.png", dpi=110)
    gaussians = Gaussians(n_components=5, random_state=0).fit(X)
    save_cluster_figure(gaussians, X, folder / "wings-gaussian.png", dpi=80)


def draw_rings(folder: Path) -> None:
    """Two rings, without labels and with twenty each; the data of docs/guide/labels.md."""
    X, ring = TwoCircles(radial_std=0.08).sample(1000, random_state=0)
    y = np.full(len(X), -1)
    for k in (0, 1):
        y[np.flatnonzero(ring == k)[:20]] = k
    for name, labels in (("without", None), ("with", y)):
        mixture = FlowMixture(n_components=2, random_state=0).fit(X, labels)
        save_cluster_figure(mixture, X, folder / f"rings-{name}.png", dpi=80)


def draw_how_many(folder: Path) -> None:
    """Three bent wings, and how many components find them; see docs/guide/how-many.md."""
    X, _ = Pinwheel(3).sample_per_component(512, random_state=0)
    found = {
        "gaussians": Gaussians("auto", random_state=0),
        "flows": FlowMixture("auto", model_options={"max_components": 6}, random_state=0),
    }
    for name, mixture in found.items():
        save_cluster_figure(mixture.fit(X), X, folder / f"how-many-{name}.png", dpi=80)


def draw_posteriors(folder: Path) -> None:
    """The regions of q and p of one model; that of docs/guide/posterior.md."""
    X, _ = Pinwheel().sample_per_component(512, random_state=0)
    mixture = FlowMixture(
        n_components=5,
        inference="variational",
        model_options={"posterior": {"name": "mlp", "hidden": [8]}},
        random_state=0,
    ).fit(X)
    grid = evaluate_grid(mixture, 1.6 * X, 300)
    points = np.stack([axis.ravel() for axis in np.meshgrid(*grid.axes)], axis=1)
    for method in ("exact", "network"):
        posterior = mixture.predict_proba(points, method=method).reshape(300, 300, -1)
        figure = Figure(figsize=(4.5, 4.5), layout="constrained")
        ax = figure.subplots()
        draw_regions(ax, Grid(grid.axes, posterior, grid.log_density))
        draw_dots(ax, X, mixture.predict(X, method=method), "")
        figure.savefig(folder / f"posterior-{method}.png", dpi=80, metadata={"Software": None})


def main() -> None:
    """Draw them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    draw_pinwheel(folder)
    draw_rings(folder)
    draw_how_many(folder)
    draw_posteriors(folder)


if __name__ == "__main__":
    main()
