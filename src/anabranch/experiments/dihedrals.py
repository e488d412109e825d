"""Angles of proteins: one flow on the torus, and a mixture of flows with as many parameters."""

import lzma
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment
from anabranch.experiments.pictures import png
from anabranch.experiments.seeded import joined, per_seed
from anabranch.models.counting import free_parameters

Array = NDArray[np.float64]

# places, from the right end of a line: phi, psi, chi1 .. chi4, an angle, a distance
FROM_THE_RIGHT = 8
RESIDUES = {"lysine": ("lys", (2, 3, 4, 5)), "arginine": ("arg-1m", (0, 1))}
LEVELS = {"lysine": 1.10, "arginine": 0.80}  # nats
CIRCLE: dict[str, Any] = {"name": "torus_flow", "circle_map": "spline", "n_layers": 1}
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "lysine": {
        "one flow": {"size": 32, "hidden": [128, 128]},
        "mixture": {"size": 12, "hidden": [64, 64]},
    },
    "arginine": {
        "one flow": {"size": 24, "hidden": [96, 96]},
        "mixture": {"size": 12, "hidden": [48, 48]},
    },
}
COMPONENTS = {"one flow": 1, "mixture": 4}
EPOCHS = 60
FITTING: dict[str, Any] = {"patience": None}


class Fit(NamedTuple):
    """Mean negative log-likelihood of test rows, in nats with angles in radians."""

    residue: str
    model: str
    seed: int
    nats: float
    parameters: int
    seconds: float
    fitted: FlowMixture | None = None


def angles(folder: Path, residue: str) -> Array:
    """The angles of a residue in degrees from 0 to 360, (n, D), rows without gaps."""
    name, places = RESIDUES[residue]
    with lzma.open(folder / f"rota8000-{name}.csv.xz", "rt", encoding="utf-8") as lines:
        cells = [line.rstrip("\n").split(",")[-FROM_THE_RIGHT:] for line in lines]
    rows = [[row[place] for place in places] for row in cells]
    return np.remainder(np.array([row for row in rows if "NULL" not in row], float), 360.0)


def one_fit(seed: int, residue: str, model: str, rows: Array) -> Fit:
    """One model of nine tenths of the rows, scored on the others."""
    order = np.random.default_rng(seed).permutation(len(rows))
    train, test = np.split(rows[order], [int(0.9 * len(rows))])
    started = time.process_time()
    mixture = FlowMixture(
        COMPONENTS[model],
        columns=dict.fromkeys(range(rows.shape[1]), ("circle", 360)),
        flow={"name": "product_flow", "circle": CIRCLE | SIZES[residue][model]},
        init_params="kmeans",
        max_epochs=EPOCHS,
        fit_options=FITTING,
        random_state=seed,
    ).fit(train)
    seconds = time.process_time() - started
    nats = -mixture.score(test) - rows.shape[1] * np.log(180 / np.pi)  # radians in place of degrees
    parameters = free_parameters(mixture.model_.mixture)
    return Fit(residue, model, seed, nats, parameters, seconds, mixture)


@experiment(
    "dihedrals", seeds=1, summary="angles of proteins by flows on the torus", needs_data=True
)
def dihedrals(run: Run) -> Outcome:
    """Test loss of one flow and of a mixture of as many parameters, from real structures."""
    folder, fitted = run.path("torus-top8000"), {}
    for residue in RESIDUES:
        rows = angles(folder, residue)
        for model in COMPONENTS:
            fitted[residue, model] = per_seed(run.seeds, one_fit, residue, model, rows)
    figures = []
    for residue, level in LEVELS.items():
        one, many = (fitted[residue, model] for model in COMPONENTS)
        figures += [
            Figure(f"{residue}, mixture, nats", many.mean("nats"), level, "lower"),
            Figure(f"{residue}, one flow, nats", one.mean("nats")),
            Figure(
                f"{residue}, mixture less one flow, nats",
                many.mean("nats") - one.mean("nats"),
                0.0,
                "lower",
            ),
            Figure(
                f"{residue}, parameters of the mixture, times one flow's",
                many.mean("parameters") / one.mean("parameters"),
            ),
        ]
    settings = {"components": COMPONENTS, "sizes": SIZES, "epochs": EPOCHS, "split": "90/10"}
    pictures = {"arginine.png": torus_picture(fitted["arginine", "mixture"][0].fitted)}
    return Outcome(figures, settings, joined(fitted.values()).table(), pictures)


def torus_picture(mixture: FlowMixture | None, points: int = 180) -> bytes:
    """The density of phi and psi in degrees, as Ramachandran drew it."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    assert mixture is not None
    axis = np.linspace(-180, 180, points)
    grid = np.stack([part.ravel() for part in np.meshgrid(axis, axis)], 1)
    height = mixture.score_samples(grid).reshape(points, points)
    canvas = Canvas(figsize=(5, 4.5), layout="constrained")
    axes = canvas.subplots()
    image = axes.pcolormesh(axis, axis, height, vmin=height.max() - 9, cmap="viridis")
    canvas.colorbar(image, label="log-density, nats per square degree")
    axes.set(title="Arginine", xlabel="phi", ylabel="psi", aspect="equal")
    return png(canvas, dpi=90)
