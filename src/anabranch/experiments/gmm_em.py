"""Gaussian mixtures by expectation maximisation, beside scikit-learn and with K unknown."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

from anabranch.estimators import GaussianMixture, choose_n_components
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.baselines import COVARIANCE_TYPES
from anabranch.experiments.pictures import png
from anabranch.problems import GaussianMixtureProblem, concentric_gaussians, corner_gaussians

Array = NDArray[np.float64]
ROWS, FOUR_ROWS, MOST, STARTS = 10_000, 1000, 12, 3
THREE, FOUR, CONCENTRIC = GaussianMixtureProblem(), corner_gaussians(), concentric_gaussians()


class Comparison(NamedTuple):
    """Beside scikit-learn, and numbers of components: by BIC, and of two tables of four."""

    seed: int
    difference: float
    largest_fall: float
    weight_error: float
    k_by_bic: int
    k_of_four: int
    k_concentric: int


@experiment("gmm-em", seeds=10, summary="Gaussian mixtures by EM: scikit-learn's, and K unknown")
def gmm_em(run: Run) -> Outcome:
    """Equality with scikit-learn, recovered weights, and the number of components found."""
    rows = per_seed(run.seeds, compared)
    fall, three = rows.worst("largest_fall", "lower"), rows.column("k_by_bic") == 3
    four, concentric = rows.column("k_of_four") == 4, rows.column("k_concentric") == 4
    figures = [
        Figure(
            "largest difference to scikit-learn", rows.worst("difference", "lower"), 1e-6, "lower"
        ),
        Figure("largest fall of the log-likelihood, nats", fall, 1e-9, "lower"),
        Figure("largest error of a weight", rows.worst("weight_error", "lower"), 0.02, "lower"),
        Figure("share of seeds in which BIC finds 3 of 1..6", three.mean(), 1, "higher"),
        Figure("share of seeds that end with 4 from 12", four.mean(), 0.9, "higher"),
        Figure("the same, Figueiredo and Jain's four", concentric.mean()),
        Figure("seconds per seed", rows.seconds),
    ]
    table = rows.table(difference=".1e", largest_fall=".1e")
    settings = {"n": ROWS, "n of four": FOUR_ROWS, "max_components": MOST, "n_init": STARTS}
    return Outcome(figures, settings, table, {"found.png": picture(run.seeds[0])})


def compared(seed: int) -> Comparison:
    """Fit to draws of the three, of the four corners and of the concentric four."""
    X, _ = THREE.sample(ROWS, random_state=seed)
    found = choose_n_components(GaussianMixture(random_state=seed), X, range(1, 7))
    return Comparison(
        seed,
        difference=max(sklearn_difference(X, kind, seed) for kind in COVARIANCE_TYPES),
        largest_fall=max(largest_fall(X, kind, seed) for kind in COVARIANCE_TYPES),
        weight_error=weight_error(found.estimators[3]),
        k_by_bic=found.n_components,
        k_of_four=_annihilated(FOUR, seed).n_components_,
        k_concentric=_annihilated(CONCENTRIC, seed).n_components_,
    )


def sklearn_difference(X: Array, kind: str, seed: int) -> float:
    """Largest difference of parameters and log-density between ours and theirs, from one start."""
    random = np.random.RandomState(seed)
    shapes = {"full": np.eye(2)[None].repeat(3, 0), "tied": np.eye(2), "diag": np.ones((3, 2))}
    start: dict[str, Any] = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": X[random.choice(len(X), 3, replace=False)],
        "precisions_init": shapes.get(kind, np.ones(3)),
    }
    settings = {"tol": 1e-3, "max_iter": 100, "reg_covar": 1e-6, "covariance_type": kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # both stop at the same step
        ours = GaussianMixture(3, **settings, **start).fit(X)
        theirs = SklearnMixture(3, **settings, **start).fit(X)
    names = ("weights_", "means_", "covariances_", "lower_bound_")
    gaps = [np.abs(getattr(ours, name) - getattr(theirs, name)).max() for name in names]
    return float(max(*gaps, np.abs(ours.score_samples(X) - theirs.score_samples(X)).max()))


def largest_fall(X: Array, kind: str, seed: int) -> float:
    """By how much the mean log-likelihood ever fell from one step of EM to the next, in nats."""
    mixture = GaussianMixture(
        3,
        covariance_type=kind,
        init_params="random_from_data",
        tol=1e-7,
        max_iter=300,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # steps are what is looked at
        steps = np.diff(mixture.fit(X).lower_bounds_)
    return float(max(0.0, -steps.min()))


def weight_error(mixture: Any) -> float:
    """Largest error of a weight, each component beside the true one that is nearest."""
    true, found = linear_sum_assignment(cdist(THREE.means, mixture.means_))
    return float(np.abs(THREE.weights[true] - mixture.weights_[found]).max())


def _annihilated(problem: GaussianMixtureProblem, seed: int) -> GaussianMixture:
    X, _ = problem.sample(FOUR_ROWS, random_state=seed)
    mixture = GaussianMixture("auto", max_components=MOST, n_init=STARTS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some number on the way down may not
        return mixture.fit(X)


def picture(seed: int) -> bytes:
    """Both tables of four Gaussians with the ellipses of two standard deviations that were found.

    The third panel has the description length at each number of components.
    """
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra
    from matplotlib.patches import Ellipse

    canvas = Canvas(figsize=(12, 4), layout="constrained")
    axes = canvas.subplots(1, 3)
    for axis, problem, title in zip(
        axes, (FOUR, CONCENTRIC), ("four corners", "Figueiredo and Jain"), strict=False
    ):
        mixture = _annihilated(problem, seed)
        X, _ = problem.sample(FOUR_ROWS, random_state=seed)
        axis.scatter(*X.T, s=4, c=mixture.predict(X), cmap="tab10", vmax=9)
        for mean, covariance in zip(mixture.means_, mixture.covariances_, strict=True):
            variances, directions = np.linalg.eigh(covariance)
            angle = np.degrees(np.arctan2(*directions[::-1, 1]))
            width, height = 4 * np.sqrt(variances[::-1])
            axis.add_patch(Ellipse(mean, width, height, angle=angle, fill=False))
        axis.set(title=f"{title}: {mixture.n_components_} from {MOST}", aspect="equal")
        counts, lengths = zip(*sorted(mixture.description_lengths_.items()), strict=True)
        axes[2].plot(counts, np.array(lengths) / FOUR_ROWS, "o-", label=title)
    axes[2].set(xlabel="components", ylabel="description length, nats per row")
    axes[2].legend()
    return png(canvas, dpi=120)
