"""What `anabranch fit` prints when it is done."""

import json
from typing import TYPE_CHECKING, Any

from anabranch.cli.agreement import scores
from anabranch.cli.loading import n_features
from anabranch.data import Table
from anabranch.estimators import DeepClustering, DeepMixture, FlowDensity, FlowMixture
from anabranch.metrics import bits_per_dim, clustering_accuracy

if TYPE_CHECKING:
    from anabranch.cli.fitting import Estimator, Fit


def summary(
    request: "Fit",
    estimator: "Estimator",
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
    if isinstance(estimator, DeepClustering):
        pairs |= _clustering_lines(estimator, seconds)
    else:
        pairs |= _density_lines(request, estimator, seconds)
    if not isinstance(estimator, FlowDensity):
        pairs |= _labels_lines(request, estimator, table, X, numbers)
    if request.verbose:
        settings = estimator.get_params(deep=False)
        pairs["settings"] = ", ".join(f"{k}={json.dumps(settings[k])}" for k in sorted(settings))
    return {**pairs, "model": str(request.output)}


def _density_lines(
    request: "Fit", estimator: FlowMixture | FlowDensity | DeepMixture, seconds: float
) -> dict[str, str]:
    pairs = {}
    if not isinstance(estimator, FlowDensity):
        deep = isinstance(estimator, DeepMixture)
        start = estimator.init_params if deep else estimator.start_
        pairs = {"components": str(estimator.n_components_), "start": start}
    elif request.context:
        pairs["context"] = ", ".join(request.context)
    result = estimator.fit_result_
    pairs |= {
        "epochs": f"{estimator.n_iter_}, best {result.best_epoch}, stopped by {result.stopped}",
        "seconds": f"{seconds:.1f}",
        "held out": _held_out(estimator),
    }
    if isinstance(estimator, FlowMixture):
        pairs["weights"] = " ".join(f"{weight:.3f}" for weight in estimator.weights_)
    return pairs


def _held_out(estimator: FlowMixture | FlowDensity | DeepMixture) -> str:
    deep = isinstance(estimator, DeepMixture)
    mean = estimator.lower_bound_
    name = "bound, " if deep or estimator.inference == "variational" else ""
    if estimator.levels is None:
        return f"{name}{mean:.4f} nats per row"
    bits = bits_per_dim(mean, n_features(estimator))
    return (
        f"{name}{mean:.4f} nats per row, {bits:.4f} bits per dimension ({estimator.levels} levels)"
    )


def _clustering_lines(estimator: DeepClustering, seconds: float) -> dict[str, str]:
    sizes = sorted(int((estimator.labels_ == k).sum()) for k in range(estimator.n_components_))
    pairs = {"method": estimator.method, "components": str(estimator.n_components_)}
    for name, result in estimator.fit_results_.items():
        pairs[name] = f"{int(result.history[-1]['epoch'])} epochs, stopped by {result.stopped}"
    return pairs | {
        "seconds": f"{seconds:.1f}",
        "sizes": " ".join(str(size) for size in reversed(sizes)),
    }


def _columns_line(table: Table) -> str:
    shown = ", ".join(table.columns[:8]) + (", ..." if len(table.columns) > 8 else "")
    shape = f", images {' x '.join(map(str, table.image_shape))}" if table.image_shape else ""
    return f"{len(table.columns)}: {shown}{shape}"


def _labels_lines(
    request: "Fit",
    estimator: FlowMixture | DeepMixture | DeepClustering,
    table: Table,
    X: Any,
    numbers: dict[int, int],
) -> dict[str, str]:
    if table.labels is None:
        return {}
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
    if n_known and not request.use_labels:
        pairs |= scores(table.labels, estimator.predict(X)) | _start_line(estimator, table)
    return pairs


def _start_line(estimator: Any, table: Table) -> dict[str, str]:
    """How well the start of a deep model alone agrees with known classes."""
    found = getattr(estimator, "start_labels_", None)
    if found is None or table.labels is None:
        return {}
    labels = table.labels[getattr(estimator, "train_rows_", slice(None))]
    return {"start ACC": f"{clustering_accuracy(labels, found):.4f}"} if (labels >= 0).any() else {}
