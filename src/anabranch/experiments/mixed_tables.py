"""Public tables of mixed columns: clusters and held-out rows, beside what else takes them."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch.data.table_coding import TableCoding
from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.experiments.mixed_rivals import RIDGES, clusters, coded, stepmix
from anabranch.experiments.public_tables import (
    TABLES,
    PublicTable,
    point_masses,
    public_table,
    with_hurdles,
)
from anabranch.metrics import adjusted_rand, clustering_accuracy

Labels = NDArray[np.int64]
# Of the rows, those to test; of the others, those to choose by.
TEST, VALIDATION = 0.3, 0.15
ABOVE, AHEAD, BELOW = 0.2, 9, 0.05
METHODS = ("ours", "stepmix", "gmm", "kmeans", "prototypes", "hdbscan")


class Mixed(NamedTuple):
    """A table: held-out nats a row, density times probability, and ARI of what was trained on."""

    seed: int
    table: str
    rows: int
    k: int
    nats: float
    gaussians_nats: float
    stepmix_nats: float
    ours: float
    stepmix: float
    gmm: float
    kmeans: float
    prototypes: float
    hdbscan: float
    accuracy: float
    kept: bool


@experiment(
    "mixed-tables",
    seeds=1,
    summary="sixteen public tables of mixed columns, beside StepMix, k-prototypes and others",
    needs_data=True,
)
def mixed_tables(run: Run) -> Outcome:
    """Unlabelled fits to the same rows, and the same rows to choose by; classes judge alone.

    All are told the same kinds of columns, and take a column with point masses for a hurdle: a
    column that tells which point the value is, if any, and a gap where it is one.
    """
    rows = joined(
        per_seed(run.seeds, compared, name, table)
        for name, table in ((name, public_table(name)) for name in TABLES)
    )
    over = rows.gain("nats", "stepmix_nats")
    best = np.maximum(rows.column("stepmix_nats"), rows.column("gaussians_nats"))
    ahead = sum(rows.where(table=name).gain("nats", "stepmix_nats").mean() > 0 for name in TABLES)
    known = Rows(row for row in rows if np.isfinite(row.ours))
    figures = [
        Figure("nats a row above StepMix, mean", float(over.mean()), ABOVE, "higher"),
        Figure(f"tables ahead of StepMix, of {len(TABLES)}", float(ahead), AHEAD, "higher"),
        Figure(
            "nats a row below the best mixture, worst table",
            float((best - rows.column("nats")).max()),
            BELOW,
            "lower",
        ),
        *(Figure(f"mean ARI, {method}", known.mean(method)) for method in METHODS),
    ]
    settings = {"tables": list(TABLES), "test": TEST, "validation": VALIDATION, "ridges": RIDGES}
    return Outcome(figures, settings, rows.table())


def compared(seed: int, name: str, table: PublicTable) -> Mixed:
    """One split of one table."""
    frame, classes, k = table
    order = np.random.RandomState(seed).permutation(len(frame))
    n_test = round(TEST * len(frame))
    n_train = len(frame) - n_test - round(VALIDATION * (len(frame) - n_test))
    told = frame.iloc[order[:-n_test]]
    whole = with_hurdles(frame, point_masses(told))
    coding = TableCoding.of(whole.iloc[order[:n_train]])
    parts = [order[:n_train], order[n_train:-n_test], order[-n_test:]]
    train, validation, test = (_known(whole.iloc[rows], coding) for rows in parts)
    rivals = coded(coding, train, validation, test)
    kinds = {column.name: column.kind.name for column in coding.columns}
    fits = [_fitted(train, validation, k, seed, kinds, epochs) for epochs in (500, 0)]
    nats, labels = stepmix(rivals, k, seed)
    found = {"ours": fits[0].predict(train), "stepmix": labels, **clusters(rivals, k, seed)}
    known = None if classes is None else classes[order[:n_train]]
    agreement = {by: _of(adjusted_rand, known, labels) for by, labels in found.items()}
    accuracy = _of(clustering_accuracy, known, found["ours"])
    kept = fits[0].fit_result_.best_epoch > 0
    ours, gaussians = (fit.score(test) for fit in fits)
    return Mixed(
        seed=seed,
        table=name,
        rows=len(train),
        k=k,
        nats=ours,
        gaussians_nats=gaussians,
        stepmix_nats=nats,
        **agreement,
        accuracy=accuracy,
        kept=kept,
    )


def _fitted(train: Any, validation: Any, k: int, seed: int, kinds: Any, epochs: int) -> FlowMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants and dependent columns
        mixture = FlowMixture(
            k, columns=kinds, missing="marginal", max_epochs=epochs, random_state=seed
        )
        return mixture.fit(train, X_val=validation)


def _of(measure: Callable[..., float], known: Labels | None, found: Labels) -> float:
    """NaN where no classes are known; rows in no cluster are one more."""
    return (
        math.nan if known is None else measure(known, np.where(found < 0, found.max() + 1, found))
    )


def _known(frame: Any, coding: TableCoding) -> Any:
    """The rows whose categories are among those of the rows to train on."""
    seen = np.ones(len(frame), bool)
    for column in coding.codes:
        cells = frame[column.name]
        seen &= (cells.isin(column.kind.categories) | cells.isna()).to_numpy()
    return frame[seen]
