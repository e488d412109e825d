"""What is explored: a table, labels that may change, and the models fitted to it."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import adjusted_rand_score

from anabranch.data import read_mixed, write_table
from anabranch.estimators.base import MixtureEstimator
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.files import load_estimator

Array = NDArray[np.float64]
PRINCIPAL = "principal components"
DISCRIMINANT = "between clusters"
PROJECTIONS = (PRINCIPAL, DISCRIMINANT)
# No class, in labels as they are kept here and in files.
UNKNOWN = ""
# Rows whose oddness is told at once, at most.
MOST_ODD = 100


@dataclass(frozen=True)
class Answers:
    """What a model says of all rows.

    Attributes:
        clusters: (n,) the likeliest component.
        certainty: (n,) its probability.
        log_density: (n,) in nats and in the units of the data.
    """

    clusters: NDArray[np.int64]
    certainty: Array
    log_density: Array


@dataclass(frozen=True)
class Odd:
    """Rows below a density.

    Attributes:
        rows: their numbers, least likely first, `MOST_ODD` at most.
        count: how many there are.
        bound: the log-density that all others have at least, in nats.
    """

    rows: list[int]
    count: int
    bound: float


class Project:
    """A file, its labels and its models; whatever is written lies in one folder.

    Args:
        data: the table; see `anabranch.data.read_mixed`.
        label_column: column of known labels, or None.
        folder: where models and labels go; that of the table by default.

    Raises:
        OSError, ValueError: where the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dots.csv"
        >>> write_table(path, {"x": np.arange(4.0), "y": np.arange(4.0)})
        >>> project = Project(path)
        >>> project.give(np.array([True, False, False, True]), "edge")
        >>> project.labels.tolist(), project.labelled_path.name
        (['edge', '', '', 'edge'], 'dots.labelled.csv')
        >>> project.undo()
        >>> project.labels.tolist()
        ['', '', '', '']
    """

    def __init__(
        self, data: Path, label_column: str | None = None, folder: Path | None = None
    ) -> None:
        table = read_mixed([data], None, label_column)
        self.data, self.label_column = Path(data), label_column
        self.folder = self.data.parent if folder is None else Path(folder)
        self.frame: Any = table.X
        self.columns = [str(name) for name in table.columns]
        self.labels = _texts(table.labels, table.label_names, len(self.frame))
        self._before: list[NDArray[np.object_]] = []
        self.models: dict[str, Estimator] = {}
        self._answers: dict[str, Answers] = {}
        self._planes: dict[str, Array] = {}

    def __len__(self) -> int:
        return len(self.frame)

    # -- columns ---------------------------------------------------------------------------------

    @property
    def is_plain(self) -> bool:
        """Whether all cells are numbers."""
        return all(self._is_numeric(name) for name in self.columns) and not self.gaps

    @property
    def gaps(self) -> int:
        """How many cells are missing."""
        return int(self.frame.isna().to_numpy().sum())

    def described(self) -> list[dict[str, str]]:
        """For each column its name, kind, gaps, and what it holds."""
        found = []
        for name in self.columns:
            values = self.frame[name]
            known = values.dropna()
            if self._is_numeric(name):
                kind = "number"
                low, mid, high = (
                    np.quantile(known.astype(float), [0, 0.5, 1])
                    if len(known)
                    else (np.full(3, np.nan))
                )
                holds = f"{low:.4g} to {high:.4g}, median {mid:.4g}"
            else:
                kind, counts = "text", known.astype(str).value_counts()
                shown = ", ".join(f"{text} ({count})" for text, count in counts.head(3).items())
                holds = f"{len(counts)} values: {shown}"
            found.append(
                {
                    "column": name,
                    "kind": kind,
                    "gaps": str(int(values.isna().sum())),
                    "holds": holds,
                }
            )
        return found

    def _is_numeric(self, name: str) -> bool:
        kind = self.frame[name].dtype
        return getattr(kind, "kind", "O") in "iuf"

    def plane(self, x: str, y: str, model: str | None = None) -> Array:
        """Rows on two axes, (n, 2): columns, or the first and second axis of a projection.

        Text counts by the order of its values; a missing cell is NaN.

        Args:
            x: name of a column, or one of `PROJECTIONS`.
            y: likewise.
            model: whose clusters `DISCRIMINANT` axes part; without one, or with one cluster, those
                are principal components.

        Raises:
            ValueError: for a column that there is not.
        """
        return np.stack([self._axis(x, 0, model), self._axis(y, 1, model)], axis=1)

    def _axis(self, name: str, place: int, model: str | None) -> Array:
        if name == PRINCIPAL:
            return self._principal()[:, place]
        if name == DISCRIMINANT:
            return self._discriminant(model)[:, place]
        if name not in self.columns:
            raise ValueError(f"there is no column {name!r}")
        return self._numbers(name)

    def _numbers(self, name: str) -> Array:
        values = self.frame[name]
        if self._is_numeric(name):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        codes = values.astype("category").cat.codes.to_numpy(dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)

    def _standardised(self) -> Array:
        """The numbers of the table on one scale, gaps at the median."""
        numbers = [name for name in self.columns if self._is_numeric(name)]
        X = np.stack([self._numbers(name) for name in numbers or self.columns], axis=1)
        X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
        spread = X.std(axis=0)
        return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)

    def _principal(self) -> Array:
        """The plane of the numbers' largest variance."""
        if PRINCIPAL not in self._planes:
            self._planes[PRINCIPAL] = _first_two(self._standardised())
        return self._planes[PRINCIPAL]

    def _discriminant(self, model: str | None) -> Array:
        """The plane in which clusters are furthest apart beside their spread (Fisher, 1936)."""
        if model not in self.models:
            return self._principal()
        if model not in self._planes:
            self._planes[model] = _parted(self._standardised(), self.answers(model).clusters)
        return self._planes[model]

    # -- labels ----------------------------------------------------------------------------------

    @property
    def classes(self) -> list[str]:
        """The names of the classes that there are."""
        return sorted({str(name) for name in self.labels} - {UNKNOWN})

    @property
    def labelled_path(self) -> Path:
        """The table with its labels."""
        return self.folder / f"{self.stem}.labelled.csv"

    @property
    def stem(self) -> str:
        """The name of the file without endings."""
        return self.data.name.split(".")[0]

    @property
    def labels_name(self) -> str:
        """The name of the column of labels in files that are written here."""
        name = self.label_column or "label"
        while name in self.columns:
            name = f"{name}_"
        return name

    def give(self, rows: NDArray[np.bool_], name: str) -> None:
        """Label rows, or take their labels away with an empty name, and save the table.

        Raises:
            OSError: where the table cannot be written.
            ValueError: for no rows, or a name that is no class in a file.
        """
        name = name.strip()
        if not rows.any():
            raise ValueError("no rows are selected")
        if len(name) > 100 or not name.isprintable():
            raise ValueError("a label is a text of at most 100 characters that can be printed")
        changed = self.labels.copy()
        changed[rows] = name
        self._before.append(self.labels)
        self.labels = changed
        self.save_labels()

    def undo(self) -> None:
        """Take the last change of labels back.

        Raises:
            ValueError: where there is none.
        """
        if not self._before:
            raise ValueError("there is nothing to undo")
        self.labels = self._before.pop()
        self.save_labels()

    def save_labels(self) -> None:
        """Write the table with its labels beside the data, all or nothing."""
        columns = {name: self._written(name) for name in self.columns}
        write_table(self.labelled_path, columns | {self.labels_name: self.labels.astype(str)})

    def _written(self, name: str) -> Any:
        values = self.frame[name]
        if self._is_numeric(name) and not values.isna().any():
            return values.to_numpy()
        if self._is_numeric(name):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return values.astype(object).where(values.notna(), "").astype(str).to_numpy()

    # -- models ----------------------------------------------------------------------------------

    def next_model(self, beside: Container[Path] = ()) -> Path:
        """A name for a model that no file has, and none of those that are meant for others."""
        number = 1
        while (path := self._model(number)).exists() or path in beside:
            number += 1
        return path

    def _model(self, number: int) -> Path:
        return self.folder / f"{self.stem}.model-{number}.safetensors"

    def take(self, path: Path) -> str:
        """Load a model file, and say its name here.

        Raises:
            OSError, ValueError: where it cannot be used with this table.
        """
        model = load_estimator(path)
        if not model.has_clusters or model.score_kind == "none":
            raise ValueError(f"{path} holds a {type(model).__name__}: a mixture is needed here")
        missing = [name for name in model.column_names or () if name not in self.columns]
        if missing:
            raise ValueError(f"{path} was fitted to columns that are missing: {', '.join(missing)}")
        self.models[path.name] = model
        return path.name

    def rows_for(self, model: Estimator) -> Any:
        """The table as a model takes it: its columns, in a frame where they have names."""
        names = model.column_names
        return self.frame[list(names)] if names else self.frame.to_numpy(dtype=np.float64)

    def answers(self, name: str) -> Answers:
        """What a model says of all rows; computed once."""
        if name not in self._answers:
            model = cast("MixtureEstimator", self.models[name])
            rows = self.rows_for(model)
            posterior = model.predict_proba(rows)
            self._answers[name] = Answers(
                posterior.argmax(1), posterior.max(1), model.score_samples(rows)
            )
        return self._answers[name]

    def odd_rows(self, name: str, share: float) -> "Odd":
        """The rows that are least likely: a share of all, and the density that bounds them.

        Raises:
            ValueError: for a share outside of (0, 1).
        """
        if not 0 < share < 1:
            raise ValueError(f"the share of odd rows is between 0 and 1, got {share:g}")
        density = self.answers(name).log_density
        count = max(1, int(share * len(self)))
        order = np.argsort(density, kind="stable")
        bound = float(density[order[min(count, len(self) - 1)]])
        return Odd(order[: min(count, MOST_ODD)].tolist(), count, bound)

    def moved(self, before: str, after: str) -> list[int]:
        """Rows whose cluster has changed, clusters matched so that as few as possible have."""
        old, new = self.answers(before).clusters, self.answers(after).clusters
        table = np.zeros((max(old.max(), new.max()) + 1,) * 2)
        np.add.at(table, (old, new), 1)
        match = linear_sum_assignment(-table)[1]
        return np.flatnonzero(match[old] != new).tolist()

    def compared(self, names: Sequence[str]) -> list[dict[str, str]]:
        """Held-out score, BIC and agreement with the model before, of each."""
        found, last = [], None
        for name in names:
            model, answers = cast("Any", self.models[name]), self.answers(name)
            agreement = "" if last is None else f"{adjusted_rand_score(last, answers.clusters):.3f}"
            last = answers.clusters
            found.append(
                {
                    "model": name,
                    "components": str(model.n_components_),
                    "held-out nats": f"{model.lower_bound_:.4f}",
                    "BIC": f"{model.bic(self.rows_for(model)):.1f}",
                    "ARI with the one above": agreement,
                }
            )
        return found


def _first_two(Z: Array) -> Array:
    """Centred rows on the two axes of their largest variance, (n, 2)."""
    u, s, _ = np.linalg.svd(Z, full_matrices=False)
    plane = np.zeros((len(Z), 2))
    plane[:, : min(2, len(s))] = (u * s)[:, :2]
    return plane


def _parted(Z: Array, clusters: NDArray[np.int64]) -> Array:
    """Rows on Fisher's first two axes; where there is one, or none, principal ones follow."""
    count = min(2, len(np.unique(clusters)) - 1, Z.shape[1])
    if count < 1:
        return _first_two(Z)
    found = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-3, n_components=count)
    axes = found.fit_transform(Z, clusters)
    axes = (axes - axes.mean(0)) / axes.std(0)
    if count == 2:
        return axes
    return np.stack(
        [axes[:, 0], _first_two(Z - np.outer(axes[:, 0], axes[:, 0] @ Z) / len(Z))[:, 0]], 1
    )


def _texts(
    labels: NDArray[np.int64] | None, names: list[str] | None, n: int
) -> NDArray[np.object_]:
    """Labels as text, empty where they are unknown."""
    found = np.full(n, UNKNOWN, dtype=object)
    if labels is not None:
        known = labels >= 0
        found[known] = [names[k] if names else str(k) for k in labels[known]]
    return found
