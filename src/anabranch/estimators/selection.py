"""How many components: one fit for each candidate, and the best by a criterion."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator, KFold, cross_validate

from anabranch.estimators.base import MixtureEstimator
from anabranch.estimators.rows import Seed

Splitter = int | BaseCrossValidator
CRITERIA = ("bic", "aic", "mdl", "held_out")


@dataclass(frozen=True)
class Selection:
    """What the choice between numbers of components came to.

    Attributes:
        n_components: the best candidate.
        best_estimator: it, fitted to all rows.
        criterion: by which it was chosen.
        scores: of each candidate, lower is better: the criterion on all rows, or for "held_out"
            minus the mean log-density of rows left out, in nats, averaged over the folds.
        estimators: all fits to all rows; for "held_out" the best alone.
    """

    n_components: int
    best_estimator: MixtureEstimator
    criterion: str
    scores: dict[int, float]
    estimators: dict[int, MixtureEstimator]


def choose_n_components(
    estimator: MixtureEstimator,
    X: ArrayLike,
    candidates: Iterable[int],
    *,
    criterion: str = "bic",
    y: ArrayLike | None = None,
    cv: Splitter = 5,
    random_state: Seed = 0,
) -> Selection:
    """Fit a mixture with each number of components, and keep the best.

    Args:
        estimator: a `FlowMixture`, `GaussianMixture`, ... with all other settings; it is cloned.
        X: (n, D) array or frame.
        candidates: numbers of components.
        criterion: "bic", "aic" or "mdl" of the rows that were fitted, or "held_out" for the
            density of rows left out. A flow has more parameters than the first three are made for.
        y: labels, as the estimator takes them.
        cv: of "held_out": folds of shuffled rows, or a splitter of scikit-learn.
        random_state: of that shuffling.

    Returns:
        The choice with its scores; of equals the fewest components win.

    Raises:
        ValueError: for an unknown criterion, or candidates that are no positive integers.

    Example:
        >>> import numpy as np
        >>> from anabranch.estimators import GaussianMixture
        >>> X = np.concatenate([np.linspace(0, 1, 99), np.linspace(8, 9, 99)])[:, None]
        >>> chosen = choose_n_components(GaussianMixture(random_state=0), X, [1, 2])
        >>> chosen.n_components, chosen.scores[1] > chosen.scores[2]
        (2, True)
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {CRITERIA}, got {criterion!r}")
    numbers = _checked(candidates)
    if criterion == "held_out":
        if isinstance(cv, Integral):
            cv = KFold(int(cv), shuffle=True, random_state=random_state)
        scores = {k: _held_out(_with(estimator, k), X, y, cv) for k in numbers}
        best = min(numbers, key=lambda k: scores[k])
        fitted = {best: _with(estimator, best).fit(X, y)}
    else:
        fitted = {k: _with(estimator, k).fit(X, y) for k in numbers}
        scores = {k: float(getattr(fitted[k], criterion)(X)) for k in numbers}
        best = min(numbers, key=lambda k: scores[k])
    return Selection(best, fitted[best], criterion, scores, fitted)


def _checked(candidates: Iterable[int]) -> list[int]:
    numbers = list(candidates)
    if not numbers or not all(isinstance(k, Integral) and k >= 1 for k in numbers):
        raise ValueError(f"candidates must be positive integers, got {numbers}")
    return sorted({int(k) for k in numbers})


def _with(estimator: MixtureEstimator, n_components: int) -> MixtureEstimator:
    fresh: Any = clone(estimator)
    return fresh.set_params(n_components=n_components)


def _held_out(
    estimator: MixtureEstimator, X: ArrayLike, y: ArrayLike | None, cv: Splitter
) -> float:
    """Minus the mean log-density of rows left out, the mean over the folds."""
    scores: Any = cross_validate(estimator, X, y, cv=cv, error_score="raise")  # pyright: ignore
    return -float(scores["test_score"].mean())
