"""One flow for each of four tables, beside Gaussian mixtures and a mixture of flows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.estimators import FlowDensity, FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, text_table
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.experiments.sizes import of_size, parameters
from anabranch.experiments.tabular import UCI, read_covertype, read_uci, split

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


MAF: dict[str, Any] = {"name": "maf", "n_layers": 5, "hidden": [64]}
REALNVP: dict[str, Any] = {"name": "realnvp", "n_layers": 10, "hidden": [256]}


class Equal(NamedTuple):
    """Held-out nats of a Gaussian, and of two flows with as many parameters as each other."""

    seed: int
    gaussian: float
    realnvp: float
    maf: float


@experiment(
    "maf-realnvp", seeds=5, summary="MAF beside RealNVP of as many parameters, and a Gaussian"
)
def maf_realnvp(run: Run) -> Outcome:
    """Held-out nats on five splits of one table."""
    X = np.asarray(load_sklearn("breast_cancer").X, dtype=np.float64)
    realnvp = of_size(REALNVP, X.shape[1], parameters(MAF, X.shape[1]))
    rows = per_seed(run.seeds, equal, X, realnvp)
    maf, above = (
        float(rows.gain(flow, over=over).mean())
        for flow, over in (("maf", "realnvp"), ("realnvp", "gaussian"))
    )
    figures = [
        Figure("MAF above RealNVP of as many parameters, nats", maf, 0.0, "higher"),
        Figure("RealNVP above a Gaussian, nats", above, 0.0, "higher"),
        *(Figure(f"{name}, nats", rows.mean(name)) for name in ("maf", "realnvp", "gaussian")),
    ]
    settings = {"table": "breast_cancer", "MAF": MAF, "RealNVP": realnvp}
    return Outcome(figures, settings, rows.table())


def equal(seed: int, X: Array, realnvp: dict[str, Any]) -> Equal:
    """All three on one split."""
    train, validation, test = split(X, seed)
    gaussian = best_gaussian_mixture(train, validation, [1], seed, covariance_types=["full"])
    flows = (
        FlowDensity(flow, random_state=seed).fit(train, X_val=validation).score(test)
        for flow in (realnvp, MAF)
    )
    return Equal(seed, float(gaussian.score(test)), *flows)


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
            lambda keywords=keywords: FlowDensity(keywords, fit_options=PATIENCE, **settings).fit(
                train, X_val=validation
            ),
        )
        for flow, keywords in FLOWS.items()
    }
    best = max(ONE_FLOW, key=lambda flow: fitted[flow].lower_bound_)
    size = parameters(FLOWS[best], train.shape[1])
    narrow = of_size(FLOWS[best], train.shape[1], size // COMPONENTS)
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
