"""RNADE on a banana, on small tables, and on data with heavy tails."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold

from anabranch.data import load_sklearn
from anabranch.distributions import Distribution, Flow
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, table_of_means
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.models import rnade
from anabranch.objectives import Likelihood
from anabranch.problems import Banana, Problem, SineChain
from anabranch.training import FitOptions, ReduceOnPlateau, fit
from anabranch.transforms import TriangularAffine

Array = NDArray[np.float64]

TABLES, FOLDS, MOST = ("wine", "breast_cancer"), 5, 6
BANANA_ROWS, HEAVY_ROWS = (8000, 2000, 20_000), (3000, 1000, 10_000)
# of a small table: it is learned by heart within some dozen epochs
SMALL: dict[str, Any] = {"hidden": 64, "components": 3}
SMALL_FIT = FitOptions(
    max_epochs=200, batch_size=64, learning_rate=3e-3, average=0.98, min_evaluation_steps=10,
    progress=False,
)  # fmt: skip
LARGE: dict[str, Any] = {"hidden": 32, "components": 5}
LARGE_FIT = FitOptions(
    max_epochs=60, batch_size=200, learning_rate=5e-3, average=0.99, patience=10, progress=False
)


class Scores(NamedTuple):
    """Held-out log-densities, in nats, of all models; and seconds of RNADE."""

    rows: int
    columns: int
    gaussian: float
    mixture: float
    rnade: float
    laplacians: float
    s: float


@experiment(
    "rnade-toys",
    seeds=2,
    summary="RNADE beside a Gaussian and Gaussian mixtures: banana, two tables, heavy tails",
)
def rnade_toys(run: Run) -> Outcome:
    """Held-out log-densities, in nats; each seed has its own rows, folds and start.

    RNADE is fitted to standardised columns, alone and behind the affine map of a Gaussian;
    validation rows choose, as they choose K for the mixtures.
    """
    found = {
        name: Rows(_compare(p, s, SMALL, SMALL_FIT) for p, s in _folds(name, run))
        for name in TABLES
    }
    for name, problem, sizes in (
        ("banana", Banana(), BANANA_ROWS),
        ("heavy tails", SineChain(), HEAVY_ROWS),
    ):
        parts = ((draws(problem, sizes, seed), seed) for seed in run.seeds)
        found[name] = Rows(_compare(p, s, LARGE, LARGE_FIT) for p, s in parts)
    every, heavy = joined(found[name] for name in TABLES), found["heavy tails"]
    gain = {name: rows.gain("rnade", over="gaussian").mean() for name, rows in found.items()}
    above = every.gain("rnade", over="gaussian").mean()
    share = (every.gain("rnade", over="mixture") > 0).mean()
    laplacians = heavy.mean("laplacians") - heavy.mean("rnade")
    figures = [
        Figure("banana, nats (entropy 3.531)", -found["banana"].mean("rnade"), 3.56, "lower"),
        Figure("tables, nats above the full Gaussian", above, 1, "higher"),
        Figure("tables, share of folds above the mixture", share, 0.5, "higher"),
        Figure("heavy tails, nats of Laplacians above Gaussians", laplacians, 0, "higher"),
        *(Figure(f"{name}, nats above the full Gaussian", gain[name]) for name in TABLES),
    ]
    settings = {"small": SMALL | SMALL_FIT.trajectory(), "large": LARGE | LARGE_FIT.trajectory()}
    settings |= {"folds": FOLDS, "K of mixtures": MOST, "banana": BANANA_ROWS, "heavy": HEAVY_ROWS}
    return Outcome(figures, settings, table_of_means("data", found))


def _compare(parts: list[Array], seed: int, model: dict[str, Any], options: FitOptions) -> Scores:
    """Test scores of a Gaussian, the best mixture, RNADE with both heads; seconds of RNADE."""
    train, validation, test = parts
    gaussian = GaussianMixture(1, reg_covar=1e-6).fit(train)
    mixture = best_gaussian_mixture(train, validation, range(1, MOST + 1), seed)
    started = time.perf_counter()
    own = best(parts, seed, options, **model)
    seconds = time.perf_counter() - started
    return Scores(
        *(sum(map(len, parts)), train.shape[1]),
        gaussian=float(gaussian.score(test)),
        mixture=float(mixture.score(test)),
        rnade=own,
        laplacians=best(parts, seed, options, head="laplacians", **model),
        s=seconds,
    )


def best(parts: list[Array], seed: int, options: FitOptions, **keywords: Any) -> float:
    """Test score of RNADE, behind the affine map of a Gaussian where the validation prefers it."""
    return max(fitted(parts, seed, options, affine, **keywords) for affine in (False, True))[1]


def fitted(
    parts: list[Array], seed: int, options: FitOptions, affine: bool, **keywords: Any
) -> tuple[float, float]:
    """Fit to the first part, as long as the second gets better; score the second and the third."""
    train, validation, test = (torch.as_tensor(part, dtype=torch.float32) for part in parts)
    model: Distribution = rnade(train.shape[1], seed=seed, **keywords)
    if affine:
        model = Flow(model, _gaussian_map(parts[0]))
    result = fit(
        Likelihood(model),
        {"x": train},
        {"x": validation},
        options=options,
        schedules=[ReduceOnPlateau(patience=4)],
        generator=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        return -result.best_score, float(model.log_prob(test).mean())


def _gaussian_map(X: Array) -> TriangularAffine:
    """To the standard normal from the Gaussian that fits; columns may be nearly dependent."""
    covariance = np.cov(X.T) + 1e-4 * np.diag(X.var(0))
    affine = TriangularAffine(X.shape[1])
    affine.set_gaussian(
        torch.as_tensor(X.mean(0), dtype=torch.float32),
        torch.as_tensor(np.linalg.cholesky(covariance), dtype=torch.float32),
    )
    return affine


def _folds(name: str, run: Run) -> Iterator[tuple[list[Array], int]]:
    """Rows to train, to choose on (a fifth of those not held out) and to test, standardised."""
    X = np.asarray(load_sklearn(name).X, dtype=np.float64)
    for seed in run.seeds:
        random = np.random.RandomState(seed)
        for kept, held in KFold(FOLDS, shuffle=True, random_state=random).split(X):
            kept = random.permutation(kept)
            first = int(0.8 * len(kept))
            yield standardized(X[kept[:first]], X[kept[first:]], X[held]), seed


def draws(problem: Problem, sizes: Sequence[int], seed: int) -> list[Array]:
    """Rows to train, to choose on and to test, in the problem's own units."""
    random = np.random.RandomState(seed)
    return [problem.sample(n, random)[0] for n in sizes]
