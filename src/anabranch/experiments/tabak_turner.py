"""Greedy ascent by local maps, on the banana and the pinwheel."""

import io
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from anabranch.algorithms.greedy_ascent import AscentResult, greedy_ascent
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.models import tabak_turner
from anabranch.problems import Banana, Pinwheel, Problem

Array = NDArray[np.float64]
ROWS, HELD_OUT, TEST_ROWS, STEPS, CANDIDATES = 5000, 2000, 20_000, 500, 16
PROBLEMS: dict[str, Problem] = {"banana": Banana(), "pinwheel": Pinwheel(rate=0.25)}
HEADER = [
    "problem", "normal", "flow", "truth", "gap closed", "steps", "seconds", "least KS p",
    "kurtosis, se",
]  # fmt: skip


class Ascent(NamedTuple):
    """What an ascent on one problem reached; densities in nats."""

    result: AscentResult
    normal_nll: float
    nll: float
    truth: float
    seconds: float
    ks_pvalue: float
    kurtosis: float
    latents: Array

    @property
    def closed(self) -> float:
        """The share of the gap between the normal and the truth that is closed."""
        return (self.normal_nll - self.nll) / (self.normal_nll - self.truth)

    @property
    def largest_fall(self) -> float:
        """By how much the likelihood of the training rows ever fell in a step."""
        return float(max(0.0, -np.diff(self.result.train).min()))


@experiment("tabak-turner", seeds=3, summary="greedy ascent by local maps: banana and pinwheel")
def tabak_turner_toys(run: Run) -> Outcome:
    """Densities after 500 elementary steps, and how normal the latents of fresh rows are."""
    found = {name: [ascend(p, seed) for seed in run.seeds] for name, p in PROBLEMS.items()}
    every = [ascent for parts in found.values() for ascent in parts]
    banana, pinwheel = found["banana"], found["pinwheel"]
    excess = np.mean([a.nll - a.truth for a in banana])
    figures = [
        Figure(
            "largest fall of the likelihood, nats",
            max(a.largest_fall for a in every),
            1e-12,
            "lower",
        ),
        Figure("banana: NLL above the truth, nats", float(excess), 0.12, "lower"),
        Figure("pinwheel: share of the gap closed", _mean(pinwheel, "closed"), 0.7, "higher"),
        Figure("longest ascent, seconds", max(a.seconds for a in every), 60, "lower"),
        *(
            Figure(f"{name}: {what}", _mean(parts, field))
            for name, parts in found.items()
            for what, field in (
                ("least KS p-value of a latent", "ks_pvalue"),
                ("Mardia kurtosis of the latents, standard errors", "kurtosis"),
            )
        ),
    ]
    rows = [[name, *_cells(parts)] for name, parts in found.items()]
    settings = {"rows": ROWS, "held out": HELD_OUT, "steps": STEPS, "candidates": CANDIDATES}
    pictures = {"ascent.png": picture({name: parts[0] for name, parts in found.items()})}
    return Outcome(figures, settings, text_table(HEADER, rows), pictures)


def ascend(problem: Problem, seed: int) -> Ascent:
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
    return Ascent(
        result,
        -float(whole.logpdf(test).mean()),
        -log_prob.mean().item(),
        -float(problem.log_prob(test).mean()),
        seconds,
        min(stats.kstest(column, "norm").pvalue for column in z.T),
        mardia_kurtosis(z),
        z,
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


def _mean(parts: list[Ascent], field: str) -> float:
    return float(np.mean([getattr(part, field) for part in parts]))


def _cells(parts: list[Ascent]) -> list[Any]:
    fields = ("normal_nll", "nll", "truth", "closed")
    steps = float(np.mean([part.result.steps for part in parts]))
    rest = [_mean(parts, field) for field in ("seconds", "ks_pvalue", "kurtosis")]
    return [*(_mean(parts, field) for field in fields), steps, *rest]


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
    file = io.BytesIO()
    canvas.savefig(file, format="png", dpi=100)
    return file.getvalue()
