"""The arm's inverse problem: a conditional and a two-way invertible network, beside splines."""

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from anabranch.estimators import NeuralPosterior
from anabranch.experiments import Figure, Outcome, Run, experiment, joined, per_seed
from anabranch.experiments.inverse_training import InvertiblePosterior, fit_both_ways
from anabranch.metrics import (
    maximum_mean_discrepancy,
    median_calibration_error,
    resimulation_error,
)
from anabranch.problems import InverseKinematics
from anabranch.training import FitOptions

Array = NDArray[np.float64]
ARM = InverseKinematics()
ROWS, BATCH = 307_200, 512  # six hundred steps an epoch
EPOCHS = {"cpu": 5, "full": 20}
PLACES, DRAWS = 5, 512  # whose posteriors are compared with draws by rejection
TESTED, TOLD = 4000, 128  # simulations that tell calibration, and draws of each
CINN: dict[str, Any] = {"name": "cinn", "n_blocks": 6, "hidden": [128, 128]}
# of about as many parameters as the cINN
NSF: dict[str, Any] = {"name": "nsf", "n_layers": 4, "hidden": [184, 184]}
INN: dict[str, Any] = {"n_blocks": 6, "hidden": [128, 128], "std": 0.01}
WEIGHTS: dict[str, Any] = {
    "forward": 10.0,
    "latent": 50.0,
    "backward": 50.0,
    "reconstruction": 0.0,
    "widths": [0.2, 0.9, 2.0],
}
RATE = 2e-3
Fitted = NeuralPosterior | InvertiblePosterior


class Posterior(NamedTuple):
    """One fit: its distance from the truth, beside those of the truth itself and of the prior."""

    seed: int
    model: str
    parameters: int
    mmd: float
    floor: float
    prior: float
    resimulation: float
    calibration: float
    s: float


@experiment(
    "inverse-kinematics",
    seeds=3,
    summary="posteriors of an arm's joints: cINN, INN and a spline flow, beside rejection",
)
def inverse_kinematics(run: Run) -> Outcome:
    """Distances to draws by rejection, calibration, and where the arm's tip comes to."""
    names = ("cINN", "INN", "NSF")
    found = {name: per_seed(run.seeds, posterior, name, EPOCHS[run.budget]) for name in names}
    cond, both, splines = (found[name] for name in names)
    gap = cond.mean("mmd") - splines.mean("mmd")
    size = cond.mean("parameters") / splines.mean("parameters")
    figures = [
        Figure("MMD of the cINN to the posterior", cond.mean("mmd"), 0.025, "lower"),
        Figure("MMD of the INN to the posterior", both.mean("mmd"), 0.06, "lower"),
        Figure("MMD of the posterior to itself", cond.mean("floor")),
        Figure("MMD of the prior to the posterior", cond.mean("prior")),
        Figure(
            "squared error of what the cINN simulates", cond.mean("resimulation"), 1e-3, "lower"
        ),
        Figure("squared error of what the INN simulates", both.mean("resimulation"), 2e-3, "lower"),
        Figure(
            "worst median calibration error of the cINN", cond.mean("calibration"), 0.01, "lower"
        ),
        Figure(
            "worst median calibration error of the INN", both.mean("calibration"), 0.02, "lower"
        ),
        Figure("MMD of the cINN less that of splines of equal steps", gap, 0.0, "lower"),
        Figure("MMD of the splines", splines.mean("mmd")),
        Figure("|parameters of the cINN / of the splines - 1|", abs(size - 1), 0.1, "lower"),
        Figure("seconds of the cINN, per seed", cond.mean("s")),
        Figure("seconds of the INN, per seed", both.mean("s")),
    ]
    settings = {"epochs": EPOCHS[run.budget], "rows": ROWS, "cINN": CINN, "INN": INN, "NSF": NSF}
    table = joined(list(found.values())).table(resimulation=".2e")
    return Outcome(figures, settings | {"weights": WEIGHTS, "rate": RATE}, table)


def posterior(seed: int, name: str, epochs: int) -> Posterior:
    """Fit one model to draws of the prior, and judge it by others."""
    theta, x = ARM.sample(ROWS, random_state=seed)
    started = time.perf_counter()
    fitted, size = _fitted(name, theta, x, seed, epochs)
    seconds = time.perf_counter() - started
    truth, observed = ARM.sample(TESTED, random_state=10_000 + seed)
    draws = fitted.sample(TOLD, observed)
    again = ARM.simulate(draws).swapaxes(0, 1)
    error = median_calibration_error(truth, draws.swapaxes(0, 1)).max()
    few = fitted.sample(DRAWS, observed[:PLACES])
    distances = [_distances(few[:, i], observed[i], seed + i) for i in range(PLACES)]
    mmd, floor, prior = (float(np.mean(column)) for column in zip(*distances, strict=True))
    off = resimulation_error(observed, again)
    return Posterior(seed, name, size, mmd, floor, prior, off, float(error), seconds)


def _fitted(name: str, theta: Array, x: Array, seed: int, epochs: int) -> tuple[Fitted, int]:
    if name == "INN":
        options = FitOptions(
            max_epochs=epochs,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            monitor="sum",
            progress=False,
        )
        found = fit_both_ways(theta, x, INN, WEIGHTS, options, seed)
        return found, _size(found.flow)
    fitted = NeuralPosterior(
        CINN if name == "cINN" else NSF,
        hedge=False,
        learning_rate=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        fit_options={"patience": None, "validation_fraction": 0.02, "keep": "last"},
        random_state=seed,
    ).fit(theta, x)
    return fitted, _size(fitted.model_)


def _size(model: nn.Module) -> int:
    """Numbers that are trained, those behind masks too."""
    return sum(p.numel() for p in model.parameters())


def _distances(draws: Array, place: Array, seed: int) -> tuple[float, float, float]:
    """Of draws, of the truth and of the prior to the truth."""
    truth = ARM.sample_posterior(place, 2 * DRAWS, random_state=seed)
    one, other = truth[:DRAWS], truth[DRAWS:]
    prior = ARM.sample_prior(DRAWS, random_state=seed)
    own, floor, far = (maximum_mean_discrepancy(part, one) for part in (draws, other, prior))
    return own, floor, far
