"""Greedy ascent by local maps, on the banana and the pinwheel."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from anabranch.algorithms.greedy_ascent import AscentResult, greedy_ascent
from anabranch.experiments import (
    Figure,
    Outcome,
    Rows,
    Run,
    experiment,
    joined,
    per_seed,
    table_of_means,
)
from anabranch.experiments.pictures import png
from anabranch.models import tabak_turner
from anabranch.problems import Banana, Pinwheel, Problem

Array = NDArray[np.float64]
ROWS, HELD_OUT, TEST_ROWS, STEPS, CANDIDATES = 5000, 2000, 20_000, 500, 16
PROBLEMS: dict[str, Problem] = {"banana": Banana(), "pinwheel": Pinwheel(rate=0.25)}


class Ascent(NamedTuple):
    """What an ascent on one problem reached; densities in nats.

    ``closed`` is the share of the gap between the normal and the truth that is closed, and
    ``largest_fall`` by how much the likelihood of the training rows ever fell in a step.
    """

    normal_nll: float
    nll: float
    truth: float
    closed: float
    steps: int
    s: float
    least_ks_p: float
    kurtosis_se: float
    largest_fall: float
    result: AscentResult
    latents: Array


@experiment("tabak-turner", seeds=3, summary="greedy ascent by local maps: banana and pinwheel")
def tabak_turner_toys(run: Run) -> Outcome:
    """Densities after 500 elementary steps, and how normal the latents of fresh rows are."""
    found = {name: per_seed(run.seeds, ascend, problem) for name, problem in PROBLEMS.items()}
    every, banana = joined(found.values()), found["banana"]
    fall, longest = every.best("largest_fall"), every.best("s")
    excess = banana.mean("nll") - banana.mean("truth")
    closed = found["pinwheel"].mean("closed")
    figures = [
        Figure("largest fall of the likelihood, nats", fall, 1e-12, "lower"),
        Figure("banana: NLL above the truth, nats", excess, 0.12, "lower"),
        Figure("pinwheel: share of the gap closed", closed, 0.7, "higher"),
        Figure("longest ascent, seconds", longest, 60, "lower"),
        *(figure for name, rows in found.items() for figure in _normality(name, rows)),
    ]
    settings = {"rows": ROWS, "held out": HELD_OUT, "steps": STEPS, "candidates": CANDIDATES}
    pictures = {"ascent.png": picture({name: rows[0] for name, rows in found.items()})}
    return Outcome(figures, settings, table_of_means("problem", found), pictures)


def _normality(name: str, rows: Rows[Ascent]) -> list[Figure]:
    """Whether fresh rows become normal, by tests at the level of a hundredth and 3 deviations."""
    kurtosis = float(np.abs(rows.column("kurtosis_se")).mean())
    told = "Mardia kurtosis of the latents, standard errors"
    return [
        Figure(f"{name}: least KS p-value of a latent", rows.mean("least_ks_p"), 0.01, "higher"),
        Figure(f"{name}: {told}", kurtosis, 3.0, "lower"),
    ]


def ascend(seed: int, problem: Problem) -> Ascent:
    """Ascend on one problem and judge the flow by fresh rows."""
    train, validation, test = (
        problem.sample(n, random_state=1000 * (i + 1) + seed)[0]
        for i, n in enumerate((ROWS, HELD_OUT, TEST_ROWS))
    )
    flow = tabak_turner(2, n_steps=STEPS, seed=seed)
    started = time.perf_counter()
    result = greedy_ascent(
        flow,
        torch.from_numpy(train).float(),
        torch.from_numpy(validation).float(),
        candidates=CANDIDATES,
        generator=torch.Generator().manual_seed(seed),
    )
    seconds = time.perf_counter() - started
    with torch.no_grad():
        points = torch.from_numpy(test).float()
        log_prob = flow.log_prob(points).double()
        z = flow.transform.encode(points)[0].double().numpy()
    covariance: Any = np.cov(train.T)
    whole = stats.multivariate_normal(train.mean(0), covariance)
    normal = -float(whole.logpdf(test).mean())
    nll, truth = -log_prob.mean().item(), -float(problem.log_prob(test).mean())
    return Ascent(
        normal_nll=normal,
        nll=nll,
        truth=truth,
        closed=(normal - nll) / (normal - truth),
        steps=result.steps,
        s=seconds,
        least_ks_p=min(stats.kstest(column, "norm").pvalue for column in z.T),
        kurtosis_se=mardia_kurtosis(z),
        largest_fall=float(max(0.0, -np.diff(result.train).min())),
        result=result,
        latents=z,
    )


def mardia_kurtosis(z: Array) -> float:
    r"""How many standard errors the multivariate kurtosis is from that of the standard normal.

    .. math:: \frac{\mathbb{E}\|z\|^4 - D (D + 2)}{\sqrt{8 D (D + 2) / n}}

    Source: Mardia (1970), "Measures of multivariate skewness and kurtosis with applications",
    for data whitened by their own moments.

    Example:
        >>> z = np.random.RandomState(0).standard_normal((5000, 2))
        >>> abs(mardia_kurtosis(z)) < 3
        True
    """
    n, features = z.shape
    centred = z - z.mean(0)
    inverse = np.linalg.inv(np.cov(z.T, ddof=0).reshape(features, features))
    sizes = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    expected = features * (features + 2)
    return float((np.square(sizes).mean() - expected) / np.sqrt(8 * expected / n))


def picture(found: dict[str, Ascent]) -> bytes:
    """The likelihood step by step, and the latents of fresh rows."""
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    canvas = Canvas(figsize=(8, 4 * len(found)), layout="constrained")
    axes = canvas.subplots(len(found), 2, squeeze=False)
    for (curve, cloud), (name, ascent) in zip(axes, found.items(), strict=True):
        curve.plot(ascent.result.train, label="training")
        curve.plot(ascent.result.validation, label="held out")
        curve.axhline(-ascent.truth, color="grey", linestyle=":", label="truth")
        curve.set(title=name, xlabel="step", ylabel="mean log-density, nats")
        curve.legend()
        cloud.scatter(*ascent.latents[:3000].T, s=2)
        cloud.set(title="latents", aspect="equal")
    return png(canvas, dpi=100)
