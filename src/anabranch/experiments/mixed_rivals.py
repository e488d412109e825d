"""What clusters tables of mixed columns beside us: StepMix, Gaussians on one-hot, others."""

import warnings
from importlib import import_module
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - its import has an effect
from sklearn.impute import IterativeImputer

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.mixed_gaussians import MixedParameters
from anabranch.data.table_coding import TableCoding
from anabranch.experiments.baselines import best_gaussian_mixture, kmeans
from anabranch.procedures.fit_mixed_gaussians import one_hot

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
COVARIANCES = ("full", "diag")
INITS = ("random", "kmeans")
STARTS = 3
# Rows at a category's share of the table that are added to each component, as in ours: without
# them a category that a component has not seen would cost 35 nats.
PSEUDO_ROWS = 2.0


class Coded(NamedTuple):
    """A table as rivals see it: reals standardised, positive ones as logarithms; then codes.

    Attributes:
        train: (n, D + C), NaN where missing.
        validation: (m, D + C).
        test: (t, D + C).
        levels: categories of each of the C columns.
        term: (t,) log-derivative of what was done to the reals of the test rows.
    """

    train: Array
    validation: Array
    test: Array
    levels: list[int]
    term: Array

    @property
    def n_real(self) -> int:
        """D."""
        return self.train.shape[1] - len(self.levels)


def coded(coding: TableCoding, *frames: Any) -> Coded:
    """Rows to train on, to choose by, and to test."""
    parts = [coding.encode(frame) for frame in frames]
    term = np.zeros(len(parts[2]))
    for j, column in enumerate(coding.reals):
        positive = column.kind.name == "positive"
        scaled = [np.log(part[:, j]) if positive else part[:, j] for part in parts]
        loc, scale = np.nanmean(scaled[0]), np.nanstd(scaled[0])
        known = ~np.isnan(scaled[2])
        term -= np.where(known, np.log(scale) + (scaled[2] if positive else 0.0), 0.0)
        for part, values in zip(parts, scaled, strict=True):
            part[:, j] = (values - loc) / scale
    return Coded(parts[0], parts[1], parts[2], coding.levels, term)


def stepmix(table: Coded, k: int, seed: int) -> tuple[float, Labels]:
    """Held-out nats, and clusters of the rows to train on, of the best StepMix by validation rows.

    Its missing reals are drawn by scikit-learn's imputation, so that variances stay; missing
    categories it sums out itself. Rows are scored with all gaps summed out exactly.
    """
    best, best_score = None, -np.inf
    rows = np.concatenate([_imputed(table.train, table, seed), table.train[:, table.n_real :]], 1)
    for covariance, ridge, start in product(COVARIANCES, RIDGES, INITS):
        model = _stepmix(table, k, f"gaussian_{covariance}", ridge)
        model.set_params(init_params=start, random_state=seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # not converged
                mixture = stepmix_mixture(model.fit(rows), table)
            score = float(mixture.log_prob(table.validation).mean())
        except (ValueError, np.linalg.LinAlgError):  # a covariance that is singular
            continue
        if score > best_score:
            best, best_score = mixture, score
    if best is None:
        raise ValueError("no StepMix could be fitted")
    held_out = float((best.log_prob(table.test) + table.term).mean())
    return held_out, best.responsibilities(table.train).argmax(1)


def _stepmix(table: Coded, k: int, reals: str, ridge: float) -> Any:
    measurement: dict[str, dict[str, Any]] = {
        "reals": {"model": reals, "n_columns": table.n_real, "reg_covar": ridge}
    }
    for j, size in enumerate(table.levels):
        extra = {"max_n_outcomes": size, "total_outcomes": size}
        measurement[f"code{j}"] = {"model": "categorical_nan", "n_columns": 1, **extra}
    return import_module("stepmix").StepMix(
        k, measurement=measurement, n_init=STARTS, max_iter=300, abs_tol=1e-6, progress_bar=0
    )


def stepmix_mixture(model: Any, table: Coded) -> MixedParameters:
    """A fitted StepMix as Gaussians times categories, whose gaps can be summed out."""
    found = model.get_parameters()
    weights, measured = np.asarray(found["weights"]), found["measurement"]
    means, covariances = (np.asarray(measured["reals"][of]) for of in ("means", "covariances"))
    if covariances.ndim == 2:
        covariances = covariances[:, :, None] * np.eye(means.shape[1])
    factors = []
    for j, code in enumerate(table.train[:, table.n_real :].T):
        counts = np.bincount(code[~np.isnan(code)].astype(int), minlength=table.levels[j]) + 1.0
        mass = weights[:, None] * len(table.train)
        pis = mass * measured[f"code{j}"]["pis"] + PSEUDO_ROWS * counts / counts.sum()
        factors.append(pis / pis.sum(1, keepdims=True))
    return MixedParameters(GaussianParameters(weights, means, covariances), tuple(factors))


def clusters(table: Coded, k: int, seed: int) -> dict[str, Labels]:
    """Clusters of the rows to train on, by methods that have no log-probability of mixed rows."""
    d = table.n_real
    reals = _imputed(table.train, table, seed)
    codes = _commonest(table.train[:, d:])
    numbers = np.concatenate([reals, one_hot(codes, table.levels)], axis=1)
    unseen = table.validation
    judged = np.concatenate(
        [_imputed(unseen, table, seed), one_hot(_commonest(unseen[:, d:]), table.levels)], axis=1
    )
    gaussians = best_gaussian_mixture(numbers, judged, [k], seed, reg_covars=RIDGES)
    prototypes = import_module("kmodes.kprototypes").KPrototypes(k, n_init=5, random_state=seed)
    mixed = np.concatenate([reals, codes], axis=1)
    noise: Any = HDBSCAN(copy=True)  # pyright: ignore[reportArgumentType]
    noise.fit(numbers)
    found: dict[str, Any] = {
        "gmm": gaussians.predict(numbers),
        "kmeans": kmeans(numbers, k, seed).labels_,
        "prototypes": prototypes.fit_predict(mixed, categorical=list(range(d, mixed.shape[1]))),
        "hdbscan": noise.labels_,
    }
    return found


def _imputed(rows: Array, table: Coded, seed: int) -> Array:
    """The reals of rows with draws for gaps."""
    reals = rows[:, : table.n_real]
    if not np.isnan(reals).any():
        return reals
    imputer: Any = IterativeImputer(sample_posterior=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged
        return imputer.fit(table.train[:, : table.n_real]).transform(reals)


def _commonest(codes: Array) -> Array:
    """Codes with gaps at the commonest of their column."""
    filled = codes.copy()
    for code in filled.T:
        known = code[~np.isnan(code)].astype(np.int64)
        code[np.isnan(code)] = np.bincount(known).argmax()
    return filled
