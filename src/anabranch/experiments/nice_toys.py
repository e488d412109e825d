"""NICE on a Gaussian, on the banana and on digits."""

import time
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, rankdata

from anabranch.distributions import Flow
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.experiments.toy_flows import Digits, digits, exact_nll, learn, learn_digits
from anabranch.models import nice
from anabranch.problems import Banana, GaussianMixtureProblem
from anabranch.transforms import Compose

Array = NDArray[np.float64]

FEATURES, LAYERS = 4, 4
ROWS, EPOCHS, BATCH, RATE = 20_000, 25, 500, 1e-2
BANANA_HIDDEN, BANANA_SCALE = (64, 64), 2.0
DIGIT_LAYERS, DIGIT_HIDDEN, DIGIT_EPOCHS, DIGIT_RATE = 4, (200,), 150, 1.5e-2


@experiment("nice-linear", seeds=5, summary="NICE with linear networks is any Gaussian in 4-D")
def nice_linear(run: Run) -> Outcome:
    """Divergence from Gaussians of random covariances, whose entropies are known."""
    started = time.perf_counter()
    rows = [[seed, *gaussian_gap(seed)] for seed in run.seeds]
    seconds = (time.perf_counter() - started) / len(rows)
    gaps = np.array(rows)[:, 2]
    figures = [
        Figure("NLL above the entropy, nats (most)", gaps.max(), 0.02, "lower"),
        Figure("NLL above the entropy, nats (mean)", gaps.mean()),
        Figure("seconds per seed", seconds),
    ]
    settings = {
        "features": FEATURES, "layers": LAYERS, "hidden": [], "base": "normal", "rows": ROWS,
        "epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE,
    }  # fmt: skip
    return Outcome(figures, settings, text_table(["seed", "entropy", "above"], rows))


@experiment("nice-banana", seeds=3, summary="NICE on the banana, and on digits beside a Gaussian")
def nice_banana(run: Run) -> Outcome:
    """The banana, which couplings can solve exactly; digits; and the spectrum of the scales."""
    rows = [[seed, *_banana_row(seed), *_digits_row(seed)] for seed in run.seeds]
    table = np.array(rows, dtype=np.float64)
    truth = Banana().entropy().value
    figures = [
        Figure("banana, NLL (most)", table[:, 1].max(), 3.55, "lower"),
        Figure("banana, NLL above the truth", (table[:, 1] - truth).mean()),
        Figure("banana, seconds (most)", table[:, 2].max(), 60.0, "lower"),
        Figure("digits: nats gained on a Gaussian (least)", table[:, 3].min(), 5.0, "higher"),
        Figure("digits: NLL in [0, 1]^64", table[:, 4].mean()),
        Figure("digits: Spearman of 1/S and the pixels' deviations", table[:, 5].mean()),
        Figure("digits: correlation of sorted log 1/S and log PCA", table[:, 6].mean()),
        Figure("digits: seconds", table[:, 7].mean()),
    ]
    settings = {
        "rows": ROWS, "layers": LAYERS, "hidden": BANANA_HIDDEN, "epochs": EPOCHS,
        "digits, layers": DIGIT_LAYERS, "digits, hidden": DIGIT_HIDDEN,
        "digits, epochs": DIGIT_EPOCHS, "digits, base": "logistic",
    }  # fmt: skip
    header = ["seed", "banana", "s", "gain", "digits", "Spearman", "spectra", "s"]
    return Outcome(figures, settings, text_table(header, rows))


def gaussian_gap(seed: int) -> tuple[float, float]:
    """Entropy of a random Gaussian, and by how much the flow's NLL is above it, in nats."""
    random = np.random.RandomState(seed)
    factor = random.standard_normal((FEATURES, FEATURES))
    covariance = factor @ factor.T + 0.1 * np.eye(FEATURES)
    problem = GaussianMixtureProblem(np.ones(1), np.zeros((1, FEATURES)), covariance[None])
    X, _ = problem.sample(ROWS, random_state=1000 + seed)
    flow = nice(FEATURES, n_layers=LAYERS, hidden=[], base="normal", seed=seed)
    train = {"x": torch.from_numpy(X).float()}
    learn(flow, train, None, seed, epochs=EPOCHS, batch=BATCH, rate=RATE)
    X, _ = problem.sample(200_000, random_state=5000 + seed)
    with torch.no_grad():
        log_prob = flow.log_prob(torch.from_numpy(X).float()).double().numpy()
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    return float(entropy), float((problem.log_prob(X) - log_prob).mean())


def _banana_row(seed: int) -> tuple[float, float]:
    """NLL of the banana, and seconds."""
    started = time.perf_counter()
    problem = Banana()
    X, _ = problem.sample(ROWS, random_state=1000 + seed)
    flow = nice(2, n_layers=LAYERS, hidden=BANANA_HIDDEN, base="normal", seed=seed)
    train = {"x": torch.from_numpy(X / BANANA_SCALE).float()}
    learn(flow, train, None, seed, epochs=EPOCHS, batch=BATCH, rate=RATE)
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
