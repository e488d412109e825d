"""Draw the pictures of the documentation: python docs/make_pictures.py [FOLDER]."""

import sys
from pathlib import Path

import numpy as np

from anabranch import FlowMixture
from anabranch.problems import Pinwheel, TwoCircles
from anabranch.reports import save_cluster_figure

PICTURES = Path(__file__).parent / "pictures"


def draw_pinwheel(folder: Path) -> None:
    """The pinwheel, as a default fit without labels sees it."""
    X, _ = Pinwheel().sample_per_component(512, random_state=0)
    mixture = FlowMixture(n_components=5, random_state=0).fit(X)
    save_cluster_figure(mixture, X, folder / "pinwheel.png", dpi=110)


def draw_rings(folder: Path) -> None:
    """Two rings, without labels and with twenty each; the data of docs/guide/labels.md."""
    X, ring = TwoCircles(radial_std=0.05).sample(1000, random_state=0)
    y = np.full(len(X), -1)
    for k in (0, 1):
        y[np.flatnonzero(ring == k)[:20]] = k
    for name, labels in (("without", None), ("with", y)):
        mixture = FlowMixture(n_components=2, random_state=0).fit(X, labels)
        save_cluster_figure(mixture, X, folder / f"rings-{name}.png", dpi=80)


def main() -> None:
    """Draw them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    draw_pinwheel(folder)
    draw_rings(folder)


if __name__ == "__main__":
    main()
