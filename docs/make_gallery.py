"""Draw the pictures of docs/gallery.md by running its code: python docs/make_gallery.py [FOLDER].

Every block of Python runs in the order of the page; where a picture follows, it shows what the
block calls ``density``, an estimator or a distribution.
"""

import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anabranch import FlowDensity

PAGE = Path(__file__).parent / "gallery.md"
BLOCK = re.compile(r"```python\n(.*?)```\n+(?:!\[[^\]]*\]\((gallery/[^)]*)\))?", re.DOTALL)
POINTS, CELLS = 2560, 200

Array = NDArray[np.float64]


def log_density(density: Any, X: Array) -> Array:
    """Of an estimator or of a distribution."""
    if isinstance(density, FlowDensity):
        return density.score_samples(X)
    with torch.no_grad():
        return density.log_prob(torch.as_tensor(X, dtype=torch.float32)).double().numpy()


def samples(density: Any) -> Array:
    """As many as there are points."""
    if isinstance(density, FlowDensity):
        return density.sample(POINTS, random_state=0)
    generator = torch.Generator().manual_seed(0)
    return density.sample(POINTS, generator=generator).double().numpy()


def draw(density: Any, X: Array, path: Path) -> None:
    """The density beside its samples; the points alone where there is no density yet."""
    drawn = X if density is None else samples(density)
    reach = 1.15 * np.abs(X if density is None else drawn).max(0).clip(np.abs(X).max(0) / 2)
    reach = np.full(2, min(reach.max(), 1.3 * np.abs(X).max()))
    axis = np.linspace(-reach[0], reach[0], CELLS)
    panels = 1 if density is None else 2
    figure = Figure(figsize=(3.2 * panels, 3.2), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if density is not None:
        grid = np.stack([cells.ravel() for cells in np.meshgrid(axis, axis)], axis=1)
        heights = np.exp(log_density(density, grid)).reshape(CELLS, CELLS)
        # the square root shows thin tails too
        axes[0].imshow(
            np.sqrt(heights),
            origin="lower",
            extent=(-reach[0], reach[0], -reach[1], reach[1]),
            cmap="viridis",
        )
    axes[-1].scatter(*drawn.T, s=1.5, linewidths=0, color="#3b528b")
    for ax in axes:
        ax.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), aspect="equal")
        ax.set_axis_off()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def main() -> None:
    """Run the page and draw its pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.parent
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    names: dict[str, Any] = {}
    for code, picture in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        started = time.perf_counter()
        exec(compile(code, str(PAGE), "exec"), names)  # our own page
        if picture:
            draw(names.get("density"), names["X"], folder / picture)
            print(f"{picture}: {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
