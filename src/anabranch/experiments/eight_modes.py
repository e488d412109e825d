"""Eight modes that share labels, by an invertible network with and without parts of its loss."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.estimators import NeuralPosterior
from anabranch.experiments import Figure, Outcome, Run, experiment, joined, per_seed
from anabranch.experiments.inverse_training import fit_both_ways
from anabranch.problems import EightModes
from anabranch.training import FitOptions

Array = NDArray[np.float64]
PROBLEM = EightModes("some")
ROWS, BATCH, DRAWS = 25_600, 512, 2000
EPOCHS = {"cpu": 40, "full": 150}
INN: dict[str, Any] = {"latent": 2, "size": 16, "n_blocks": 4, "hidden": [128]}
WEIGHTS: dict[str, Any] = {"forward": 10.0, "latent": 50.0, "backward": 50.0, "reconstruction": 1.0}
WITHOUT = {"INN": None, "without L_x": "backward", "without L_z": "latent"}
CINN: dict[str, Any] = {"name": "cinn", "n_blocks": 4, "hidden": [128]}
RATE = 2e-3


class Modes(NamedTuple):
    """How the draws of each label fall on its modes.

    Attributes:
        variation: total variation of the shares of modes, the mean over labels.
        distance: of draws from the nearest mode of their label, the mean.
    """

    seed: int
    model: str
    variation: float
    distance: float


@experiment("eight-modes", seeds=3, summary="modes that share labels, by INN and cINN; ablations")
def eight_modes(run: Run) -> Outcome:
    """Shares of modes by each model, and what the loss is worth without its parts."""
    models = (*WITHOUT, "cINN")
    found = {name: per_seed(run.seeds, modes, name, EPOCHS[run.budget]) for name in models}
    whole = found["INN"].mean("variation")
    figures = [Figure("total variation of the INN", whole, 0.05, "lower")]
    for name in list(WITHOUT)[1:]:
        worse = found[name].mean("variation") - whole
        figures.append(
            Figure(f"total variation {name}, less that of the INN", worse, 0.0, "higher")
        )
    figures += [
        Figure("total variation of the cINN", found["cINN"].mean("variation"), 0.05, "lower"),
        Figure("distance from the nearest mode, INN", found["INN"].mean("distance"), 0.35, "lower"),
        Figure("distance from the nearest mode, cINN", found["cINN"].mean("distance")),
    ]
    settings = {"epochs": EPOCHS[run.budget], "rows": ROWS, "INN": INN, "weights": WEIGHTS}
    return Outcome(figures, settings | {"cINN": CINN, "rate": RATE}, joined(found.values()).table())


def modes(seed: int, name: str, epochs: int) -> Modes:
    """Fit one model, and draw for each label."""
    theta, x = PROBLEM.sample(ROWS, random_state=seed)
    labels = np.eye(PROBLEM.n_observations)
    if name == "cINN":
        fitted = NeuralPosterior(
            CINN,
            hedge=False,
            learning_rate=RATE,
            batch_size=BATCH,
            max_epochs=epochs,
            fit_options={"patience": None, "validation_fraction": 0.02, "keep": "last"},
            random_state=seed,
        )
        draws = fitted.fit(theta, x).sample(DRAWS, labels)
    else:
        options = FitOptions(
            max_epochs=epochs,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            monitor="sum",
            progress=False,
        )
        left_out = WITHOUT[name]
        weights = WEIGHTS if left_out is None else WEIGHTS | {left_out: 0.0}
        draws = fit_both_ways(theta, x, INN, weights, options, seed).sample(DRAWS, labels)
    return Modes(seed, name, *judged(draws))


def judged(draws: Array) -> tuple[float, float]:
    """Total variation and distance, for draws of each label, (n, C, 2).

    Example:
        >>> draws = np.stack([PROBLEM.sample_posterior(c, 500, 0) for c in np.eye(4)], 1)
        >>> variation, distance = judged(draws)
        >>> variation < 0.05, distance < 0.3
        (True, True)
    """
    variations, distances = [], []
    for label, truth in enumerate(PROBLEM.mode_probabilities):
        own = draws[:, label]
        shares = np.bincount(PROBLEM.nearest_modes(own), minlength=8) / len(own)
        variations.append(0.5 * np.abs(shares - truth).sum())
        admitted = PROBLEM.centres[truth > 0]
        distances.append(np.linalg.norm(own[:, None] - admitted, axis=-1).min(1).mean())
    return float(np.mean(variations)), float(np.mean(distances))
