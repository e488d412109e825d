"""What `anabranch fit` prints when it is done."""

import json
from typing import Any

import numpy as np

from anabranch.cli.agreement import scores
from anabranch.cli.request import Fit
from anabranch.data import Table
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.summary import fit_lines
from anabranch.metrics import clustering_accuracy


def summary(
    request: Fit,
    estimator: Estimator,
    table: Table,
    X: Any,
    numbers: dict[int, int],
    seconds: float,
) -> dict[str, str]:
    """Names and values, in the order to print them.

    Args:
        request: of the command.
        estimator: fitted.
        table: the rows as read, with labels.
        X: the same rows as they were fitted.
        numbers: the component of each class, where labels were renumbered.
        seconds: that the fit took.
    """
    pairs = {"rows": str(len(table)), "columns": _columns_line(table)}
    pairs |= fit_lines(estimator.facts() | {"seconds": seconds})
    if estimator.has_clusters and table.labels is not None:
        pairs |= _labels_lines(request, table, numbers)
        if not request.use_labels and (table.labels >= 0).any():
            found: Any = estimator
            pairs |= scores(table.labels, found.predict(X)) | _start_line(estimator, table.labels)
    if request.verbose:
        settings = estimator.settings()
        pairs["settings"] = ", ".join(f"{k}={json.dumps(settings[k])}" for k in sorted(settings))
    return {**pairs, "model": str(request.output)}


def told_facts(request: Fit, estimator: Estimator, table: Table, X: Any) -> dict[str, Any]:
    """The facts of a fit in JSON values, and how well it agrees with labels that taught nothing."""
    facts: dict[str, Any] = {"rows": len(table), **estimator.facts()}
    known = table.labels is not None and bool((table.labels >= 0).any())
    if estimator.has_clusters and known and not request.use_labels:
        found: Any = estimator
        agreed = scores(np.asarray(table.labels), found.predict(X))
        facts |= {name: float(value) for name, value in agreed.items()}
    return {**facts, "model": str(request.output)}


def _columns_line(table: Table) -> str:
    shown = ", ".join(table.columns[:8]) + (", ..." if len(table.columns) > 8 else "")
    shape = f", images {' x '.join(map(str, table.image_shape))}" if table.image_shape else ""
    return f"{len(table.columns)}: {shown}{shape}"


def _labels_lines(request: Fit, table: Table, numbers: dict[int, int]) -> dict[str, str]:
    assert table.labels is not None
    names = table.label_names
    n_known = int((table.labels >= 0).sum())
    pairs = {"labels": f"{n_known} known, {'used' if request.use_labels else 'not used'}"}
    if request.use_labels and not numbers and names is not None:
        numbers = {code: code for code in range(len(names))}
    if numbers:
        pairs["classes"] = ", ".join(
            f"{label if names is None else names[label]} is component {k}"
            for label, k in numbers.items()
        )
    return pairs


def _start_line(estimator: Estimator, labels: Any) -> dict[str, str]:
    """How well the start alone agrees with known classes."""
    if estimator.started_from is None:
        return {}
    rows, found = estimator.started_from
    known = labels[rows]
    return {"start ACC": f"{clustering_accuracy(known, found):.4f}"} if (known >= 0).any() else {}
