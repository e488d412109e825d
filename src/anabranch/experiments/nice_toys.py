"""NICE on a Gaussian, on the banana and on digits."""

import time
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, rankdata

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.toy_flows import Digits, digits, exact_nll, learn, learn_digits
from anabranch.models import nice
from anabranch.problems import Banana, random_gaussian
from anabranch.training import FitOptions
from anabranch.transforms import Compose

Array = NDArray[np.float64]

FEATURES, LAYERS = 4, 4
ROWS, EPOCHS, BATCH, RATE = 20_000, 25, 500, 1e-2
BANANA_HIDDEN, BANANA_SCALE = (64, 64), 2.0
DIGIT_LAYERS, DIGIT_HIDDEN, DIGIT_EPOCHS, DIGIT_RATE = 4, (200,), 150, 1.5e-2


class Gap(NamedTuple):
    """Entropy of a random Gaussian, and by how much the flow's NLL is above it, in nats."""

    seed: int
    entropy: float
    above: float


class Learned(NamedTuple):
    """NLL and seconds of the banana and of the digits; of these the gain on a Gaussian, too.

    ``spearman`` and ``spectra`` are the two correlations of `spectra`.
    """

    seed: int
    banana: float
    banana_s: float
    gain: float
    digits: float
    spearman: float
    spectra: float
    digits_s: float


@experiment("nice-linear", seeds=5, summary="NICE with linear networks is any Gaussian in 4-D")
def nice_linear(run: Run) -> Outcome:
    """Divergence from Gaussians of random covariances, whose entropies are known."""
    rows = per_seed(run.seeds, gaussian_gap)
    figures = [
        Figure("NLL above the entropy, nats (most)", rows.best("above"), 0.02, "lower"),
        Figure("NLL above the entropy, nats (mean)", rows.mean("above")),
        Figure("seconds per seed", rows.seconds),
    ]
    settings = {
        "features": FEATURES, "layers": LAYERS, "hidden": [], "base": "normal", "rows": ROWS,
        "epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE,
    }  # fmt: skip
    return Outcome(figures, settings, rows.table())


@experiment("nice-banana", seeds=3, summary="NICE on the banana, and on digits beside a Gaussian")
def nice_banana(run: Run) -> Outcome:
    """The banana, which couplings can solve exactly; digits; and the spectrum of the scales."""
    rows = per_seed(run.seeds, learned)
    truth = Banana().entropy().value
    figures = [
        Figure("banana, NLL (most)", rows.best("banana"), 3.55, "lower"),
        Figure("banana, NLL above the truth", rows.mean("banana") - truth),
        Figure("banana, seconds (most)", rows.best("banana_s"), 60.0, "lower"),
        Figure("digits: nats gained on a Gaussian (least)", rows.worst("gain"), 5.0, "higher"),
        Figure("digits: NLL in [0, 1]^64", rows.mean("digits")),
        Figure("digits: Spearman of 1/S and the pixels' deviations", rows.mean("spearman")),
        Figure("digits: correlation of sorted log 1/S and log PCA", rows.mean("spectra")),
        Figure("digits: seconds", rows.mean("digits_s")),
    ]
    settings = {
        "rows": ROWS, "layers": LAYERS, "hidden": BANANA_HIDDEN, "epochs": EPOCHS,
        "digits, layers": DIGIT_LAYERS, "digits, hidden": DIGIT_HIDDEN,
        "digits, epochs": DIGIT_EPOCHS, "digits, base": "logistic",
    }  # fmt: skip
    return Outcome(figures, settings, rows.table())


def gaussian_gap(seed: int) -> Gap:
    """Train on draws of a random Gaussian, and compare with it."""
    problem = random_gaussian(FEATURES, random_state=seed)
    X, _ = problem.sample(ROWS, random_state=1000 + seed)
    flow = nice(FEATURES, n_layers=LAYERS, hidden=[], base="normal", seed=seed)
    train = {"x": torch.from_numpy(X).float()}
    learn(flow, train, None, seed, FitOptions(EPOCHS, BATCH, RATE, patience=None))
    X, _ = problem.sample(200_000, random_state=5000 + seed)
    with torch.no_grad():
        log_prob = flow.log_prob(torch.from_numpy(X).float()).double().numpy()
    return Gap(seed, problem.entropy().value, float((problem.log_prob(X) - log_prob).mean()))


def learned(seed: int) -> Learned:
    """Train on the banana and on the digits."""
    return Learned(seed, *_banana_row(seed), *_digits_row(seed))


def _banana_row(seed: int) -> tuple[float, float]:
    """NLL of the banana, and seconds."""
    started = time.perf_counter()
    problem = Banana()
    X, _ = problem.sample(ROWS, random_state=1000 + seed)
    flow = nice(2, n_layers=LAYERS, hidden=BANANA_HIDDEN, base="normal", seed=seed)
    train = {"x": torch.from_numpy(X / BANANA_SCALE).float()}
    learn(flow, train, None, seed, FitOptions(EPOCHS, BATCH, RATE, patience=None))
    return exact_nll(flow, problem, BANANA_SCALE, seed), time.perf_counter() - started


def _digits_row(seed: int) -> tuple[float, float, float, float, float]:
    """Nats gained on the Gaussian, NLL, two correlations of the scales, and seconds."""
    started = time.perf_counter()
    data = digits(seed, alike=True)
    flow = nice(64, n_layers=DIGIT_LAYERS, hidden=DIGIT_HIDDEN, base="logistic", seed=seed)
    nll = learn_digits(flow, data, seed, epochs=DIGIT_EPOCHS, rate=DIGIT_RATE)
    gain = gaussian_nll(data, seed) - nll
    return gain, nll, *spectra(flow, data, seed), time.perf_counter() - started


def gaussian_nll(data: Digits, seed: int) -> float:
    """Held-out nats of the Gaussian of all covariances, on [0, 1]^64."""
    generator = torch.Generator().manual_seed(seed)
    train = data.draw(data.train, generator)["x"].double().numpy()
    gaussian: Any = multivariate_normal(train.mean(0), np.cov(train.T))  # pyright: ignore[reportArgumentType] - scipy's stubs take no matrix
    nlls = []
    for _ in range(10):
        rows = data.draw(data.test, generator)
        nlls.append(-gaussian.logpdf(rows["x"].double().numpy()).mean())
    return float(np.mean(nlls)) + float(data.scale.log().sum())


def spectra(flow: Flow, data: Digits, seed: int) -> tuple[float, float]:
    """How the inverse scales go with the deviations of the pixels, and with those of the PCA.

    Scales have no order of their own, so that beside the spectrum of the PCA both are sorted, and
    the correlation is of their logarithms.
    """
    x = data.draw(data.train, torch.Generator().manual_seed(seed))["x"].double().numpy()
    scale = cast(Compose, flow.transform).transforms[-1]
    with torch.no_grad():
        inverse = (1 / scale.encode(torch.ones(1, x.shape[1]))[0][0]).double().numpy()
    ranks = np.corrcoef(rankdata(inverse), rankdata(x.std(0)))[0, 1]
    pca = np.sqrt(np.linalg.eigvalsh(np.cov(x.T)))
    return float(ranks), float(np.corrcoef(np.log(np.sort(inverse)), np.log(pca))[0, 1])
