"""Where a fit of a mixture begins, as users say it."""

import json
from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anabranch.estimators.labels import check_targets

Array = NDArray[np.float64]


@runtime_checkable
class Predicts(Protocol):
    """What gives rows their probabilities of components."""

    def predict_proba(self, X: Array) -> Array:
        """Probabilities, (n, K)."""
        ...


StartSource = Literal["last"] | ArrayLike | Predicts
START = "'last', labels (n,), responsibilities (n, K), or a fitted estimator"


def responsibilities_of(start: object, X: Array, n_components: int) -> Array:
    """What a user gives as a start, as responsibilities of all rows.

    Args:
        start: labels (n,), responsibilities (n, K), or a fitted estimator with ``predict_proba``.
        X: (n, D) all rows.
        n_components: K.

    Returns:
        (n, K).

    Raises:
        ValueError: for anything else, or rows that do not sum to one.

    Example:
        >>> responsibilities_of([1, 0], np.zeros((2, 3)), 2)
        array([[0., 1.],
               [1., 0.]])
    """
    if isinstance(start, Predicts):
        start = start.predict_proba(X)
    if isinstance(start, str) or start is None:
        raise ValueError(f"start must be {START}, got {start!r}")
    given: ArrayLike = start  # pyright: ignore[reportAssignmentType] - which is checked here
    if n_components == 1:
        return np.ones((len(X), 1))
    try:
        targets, _ = check_targets(given, len(X), n_components)
    except (TypeError, ValueError) as error:
        raise ValueError(f"start must be {START}: {error}") from error
    if targets is None or not targets.any(1).all():
        raise ValueError("start must give every row a component")
    if not targets.any(0).all():
        raise ValueError(f"start must give rows to each of the {n_components} components")
    return targets


def check_same_model(old: Mapping[str, object], new: Mapping[str, object]) -> None:
    """A fit that goes on trains the model that is there, which must be the one that is asked for.

    Args:
        old: arguments that the model was built with, plain JSON values.
        new: those of the one that is asked for.

    Raises:
        ValueError: naming the arguments that differ.
    """
    new = json.loads(json.dumps(new))
    different = [key for key in new if old.get(key) != new[key]]
    if different:
        raise ValueError(
            "start goes on with a model that differs in "
            + ", ".join(f"{key} ({old.get(key)!r}, now {new[key]!r})" for key in different)
            + ": leave start at None, or begin with what it predicts"
        )
