"""The section that asks whether other starts find the same clusters."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from anabranch.metrics import adjusted_rand
from anabranch.reports.evaluation import Evaluation, seed
from anabranch.reports.section import Section, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Fits of starts alone, where whole ones are not asked for, and rows that they see at most.
STARTS, MOST_ROWS = 3, 2_000
# Settings that begin every fit at the same place.
GIVEN = {"start", "means_init", "weights_init", "precisions_init"}
# Mean ARI from which other starts are said to find the same, and below which they do not.
SAME, OTHER = 0.9, 0.6


def stability_section(
    est: Any, ev: Evaluation, X: Any, random_state: np.random.RandomState, *, restarts: int
) -> Section | None:
    """Compare the clusters with those of fits from other starts; None where there are none.

    Args:
        est: The mixture.
        ev: What it says of rows.
        X: The rows as they were given.
        random_state: Source of the seeds of the other fits.
        restarts: How many whole fits to make; 0 for `STARTS` fits of the start alone, which take
            seconds, of estimators that have one.
    """
    made = _copies(est, restarts, random_state)
    if not made or getattr(est, "classes_", None) is not None:
        return None
    chosen = np.sort(random_state.permutation(len(ev.X))[:MOST_ROWS])
    rows = _safe_indexing(X, chosen)
    found = [ev.predicted[chosen]]
    for copy in made:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(np.asarray(copy.fit(rows).predict(rows)))
            except (ValueError, np.linalg.LinAlgError):  # a start that leaves a component empty
                continue
    if len(found) < 3:
        return None
    agreement = _agreement(found)
    against, between = agreement[0, 1:], agreement[1:, 1:][np.triu_indices(len(found) - 1, 1)]
    kind = "fits with other seeds" if restarts else "starts alone, with other seeds,"
    texts = [
        f"{len(found) - 1} {kind} of {len(chosen):,} rows were compared by the adjusted Rand index "
        "(1: the same clusters, 0: no more alike than by chance). "
        f"{_judgement(float(between.mean()))}",
        *([] if restarts else ["No flow was trained for this: ask for restarts of whole fits."]),
    ]
    table = Table(
        "ARI between restarts",
        ("", "mean", "least"),
        [
            ("this mixture against them", f"{against.mean():.3f}", f"{against.min():.3f}"),
            ("each other", f"{between.mean():.3f}", f"{between.min():.3f}"),
        ],
    )
    return Section("stability", "Do other starts find the same?", texts, tables=[table])


def _copies(est: Any, restarts: int, random_state: np.random.RandomState) -> list[Any]:
    """Unfitted copies with other seeds; none where fits of the start alone are no setting."""
    names = est.get_params(deep=False) if hasattr(est, "get_params") else {}
    if "random_state" not in names or not (restarts or _is_quick(names)):
        return []
    copies = []
    for _ in range(restarts or STARTS):
        copy: Any = clone(est)
        copy.set_params(random_state=seed(random_state))
        if "verbose" in names:
            copy.set_params(verbose=0)
        if "fit_options" in names:
            options = {k: v for k, v in (names["fit_options"] or {}).items() if k != "checkpoint"}
            copy.set_params(fit_options=options or None)
        copy.set_params(**dict.fromkeys(GIVEN & names.keys()))
        if not restarts and "max_epochs" in names:
            copy.set_params(max_epochs=0)
        copies.append(copy)
    return copies


def _is_quick(names: dict[str, Any]) -> bool:
    """Whether a fit can be one of the start alone, or is by EM in any case."""
    return "means_init" in names or ("max_epochs" in names and names.get("inference") == "exact")


def _agreement(found: list[NDArray[Any]]) -> NDArray[np.float64]:
    """ARI between all pairs of clusterings."""
    matrix = np.eye(len(found))
    for a, b in combinations(range(len(found)), 2):
        matrix[a, b] = matrix[b, a] = adjusted_rand(found[a], found[b])
    return matrix


def _judgement(mean: float) -> str:
    if mean >= SAME:
        return f"They agree with each other (mean {mean:.2f}): the clusters do not depend on luck."
    if mean >= OTHER:
        return (
            f"They agree in part (mean {mean:.2f}): some clusters depend on the start. Compare "
            "several, or fit with n_init above one."
        )
    return (
        f"Warning: they do not agree (mean {mean:.2f}). Where the start decides, the clusters are "
        "one description of the rows among several, and no evidence of groups."
    )
