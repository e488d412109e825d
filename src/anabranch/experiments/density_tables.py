"""One flow for each of four tables, beside Gaussian mixtures and a mixture of flows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.distributions import Distribution
from anabranch.estimators import FlowDensity, FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, text_table
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.experiments.tabular import UCI, read_covertype, read_uci
from anabranch.models import build
from anabranch.models.counting import free_parameters

Array = NDArray[np.float64]

Noise = Callable[[Array, np.random.RandomState], Array]

# Noise of the naval table, in standard deviations of its columns.
NAVAL_NOISE = 0.1


def one_unit(decimals: Sequence[int]) -> Noise:
    """Uniform noise as wide as the last digit that a column is recorded with."""

    def spread(X: Array, random: np.random.RandomState) -> Array:
        return X + random.rand(*X.shape) * 10.0 ** -np.asarray(decimals)

    return spread


def sensor(X: Array, random: np.random.RandomState) -> Array:
    """Gaussian noise."""
    return X + NAVAL_NOISE * random.randn(*X.shape)


@dataclass(frozen=True)
class Spec:
    """A table, and how it becomes data that have a density.

    Attributes:
        noise: what is added to the recorded numbers, for all models alike.
        epochs: of training a flow.
        batch_size: rows per step.
        parts: rows to train, choose and test on; None for 60, 20 and 20 per cent.
        copies: how often each row to train on is seen, each time with noise of its own.
    """

    noise: Noise
    epochs: int
    batch_size: int
    parts: tuple[int, int, int] | None = None
    copies: int = 1


TABLES = {
    "covtype": Spec(one_unit([0] * 10), 30, 512, (90_000, 10_000, 20_000)),
    "protein": Spec(one_unit([2, 2, 5, 4, 4, 4, 2, 0, 4, 3]), 40, 256),
    "naval": Spec(sensor, 40, 256, copies=5),
    "power-plant": Spec(one_unit([2] * 5), 120, 128),
}
FLOWS: dict[str, dict[str, Any]] = {
    "RealNVP": {"name": "realnvp", "n_layers": 8, "hidden": [128, 128]},
    "MAF": {"name": "maf", "n_layers": 5, "hidden": [128, 128]},
    "NSF": {"name": "nsf", "n_layers": 4, "hidden": [128, 128]},
    "RNADE": {"name": "rnade", "components": 50, "hidden": 128},
}
ONE_FLOW = ("RealNVP", "MAF", "NSF")
COMPONENTS = 5
SETTINGS: dict[str, Any] = {"learning_rate": 3e-3}
PATIENCE: dict[str, Any] = {"patience": None}
K_OF_GMM = (5, 10, 20, 50)


@experiment(
    "tabular-density",
    seeds=1,
    summary="four tables: RealNVP, MAF, NSF, RNADE and a mixture of flows, beside GaussianMixture",
    needs_data=True,
)
def tabular_density(run: Run) -> Outcome:
    """Held-out nats on one fixed split of each table.

    Recorded numbers are rounded, and a density of rounded numbers has no upper bound: uniform noise
    as wide as the last recorded digit makes them real ones. The naval table is what a simulator
    without noise makes of a grid of three numbers, and so has no density in its sixteen columns: it
    is seen through the noise of a sensor.
    """
    rows: list[list[Any]] = []
    figures: list[Figure] = []
    close = above_mixture = 0
    scores: dict[str, float] = {}
    for name, spec in TABLES.items():
        scores, seconds = _compare(name, spec, run)
        rows.append([name, *scores.values()])
        rows.append(["  seconds", *(f"{s:.0f}" for s in seconds.values())])
        flows = {flow: scores[flow] for flow in FLOWS}
        close += flows["NSF"] >= max(flows.values()) - 0.1
        figures += [Figure(f"{name}, {model}, nats", score) for model, score in scores.items()]
        worst = min(flows.values()) - scores["GMM"]
        figures.append(Figure(f"{name}, worst flow above the best GMM, nats", worst, 0.0, "higher"))
        one = max(scores[flow] for flow in ONE_FLOW)
        gain = scores["mixture"] - one
        above_mixture += gain >= 0
        figures.append(Figure(f"{name}, mixture above one flow of as many parameters", gain))
        if name == "covtype":
            gain = scores["NSF"] - scores["GMM"]
            figures.append(Figure("covtype, NSF above the best GMM, nats", gain, 2.0, "higher"))
    figures.insert(0, Figure("tables where NSF is within 0.1 of the best", close, 3, "higher"))
    figures.append(
        Figure("tables where the mixture is at least as good", above_mixture, 4, "higher")
    )
    table = text_table(["table", *scores], rows)
    settings = {"flows": FLOWS, "K of GMM": K_OF_GMM, "naval noise": NAVAL_NOISE}
    settings = {**PATIENCE, **SETTINGS, **settings}
    return Outcome(figures, settings, table)


def read(name: str, run: Run) -> Array:
    """The numbers of a table as they were recorded; naval standardised, without constants."""
    if name == "covtype":
        return read_covertype(run.path("uci", "covtype.csv.xz"))
    X = read_uci(run.path("uci", UCI[name]))
    if name != "naval":
        return X
    X = X[:, np.ptp(X, axis=0) > 0]
    return (X - X.mean(0)) / X.std(0)


def parts(X: Array, spec: Spec, seed: int) -> list[Array]:
    """Rows to train, choose and test on, with noise, standardised by the first."""
    random = np.random.RandomState(seed)
    X = X[random.permutation(len(X))]
    n = len(X)
    first, second, third = spec.parts or (int(0.6 * n), int(0.2 * n), n)
    train, rest = np.tile(X[:first], (spec.copies, 1)), X[first : first + second + third]
    three = (train, rest[:second], rest[second:])
    return standardized(*(spec.noise(part, random) for part in three))


def _compare(name: str, spec: Spec, run: Run) -> tuple[dict[str, float], dict[str, float]]:
    """Held-out nats and seconds of all models."""
    seed = run.seeds[0]
    train, validation, test = parts(read(name, run), spec, seed)
    scores, seconds = {}, {}

    def judge(model: str, fit: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        fitted = fit()
        scores[model], seconds[model] = fitted.score(test), time.perf_counter() - started
        return fitted

    judge("GMM", lambda: _best_gmm(train, validation, seed))
    settings = {
        **SETTINGS,
        "max_epochs": spec.epochs,
        "batch_size": spec.batch_size,
        "random_state": seed,
    }
    fitted = {
        flow: judge(
            flow,
            lambda keywords=keywords: FlowDensity(keywords, **PATIENCE, **settings).fit(
                train, X_val=validation
            ),
        )
        for flow, keywords in FLOWS.items()
    }
    best = max(ONE_FLOW, key=lambda flow: fitted[flow].lower_bound_)
    narrow = narrowed(FLOWS[best], train.shape[1], COMPONENTS)
    judge(
        "mixture",
        lambda: FlowMixture(
            COMPONENTS, flow=narrow, init_params="gmm", fit_options=PATIENCE, **settings
        ).fit(train, X_val=validation),
    )
    return scores, seconds


def _best_gmm(train: Array, validation: Array, seed: int) -> Any:
    return best_gaussian_mixture(
        train,
        validation,
        K_OF_GMM,
        seed,
        covariance_types=["full"],
        reg_covars=(1e-6, 1e-3) if len(train) < 50_000 else (1e-6,),
        max_iter=100,
    )


def narrowed(flow: dict[str, Any], features: int, n_components: int) -> dict[str, Any]:
    """The same flow with hidden layers so narrow that K of them have no more parameters than it.

    Example:
        >>> narrowed({"name": "maf", "hidden": [64, 64]}, 10, 5)["hidden"]
        [22, 22]
    """
    budget = _size(flow, features)
    width = flow["hidden"][0]
    layers = len(flow["hidden"])
    while (
        width > 1 and n_components * _size({**flow, "hidden": [width] * layers}, features) > budget
    ):
        width -= 1
    return {**flow, "hidden": [width] * layers}


def _size(flow: dict[str, Any], features: int) -> int:
    model = build(**flow, features=features, seed=0)
    assert isinstance(model, Distribution)
    return free_parameters(model)
