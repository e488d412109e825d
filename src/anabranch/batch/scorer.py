"""What a model says of batches, wherever they come from: Arrow, pandas, polars, dicts of arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.files import load_estimator

OUTPUTS = ("component", "certainty", "log_prob")


@dataclass(frozen=True)
class Scorer:
    """A function of batches of rows, which can be sent to other processes.

    It holds the name of a model file, not the model: each process loads that once. Rows are scored
    on one thread, so that as many processes run side by side as there are cores.

    Args:
        model: file of a fitted estimator.
        outputs: what is told of each row: "component", "certainty" (the probability of that
            component), "log_prob" (nats, in the units of the data).
        key: a column that is handed through, or None.
        on_bad: "raise" an error for rows that the model cannot take, such as those with a missing
            number; or give "null" for them, and score the others.

    Raises:
        ValueError: for outputs that there are not, or that this model has not.

    Example:
        >>> import tempfile
        >>> from anabranch import GaussianMixture, save
        >>> path = Path(tempfile.mkdtemp()) / "m.safetensors"
        >>> save(GaussianMixture(1).fit({"x": [0.0, 1.0, 2.0]}), path)
        >>> score = Scorer(path, ("log_prob",), key="id", on_bad="null")
        >>> score({"id": [7, 8], "x": [1.0, float("nan")]})["log_prob"].round(3).tolist()
        [-0.716, nan]
    """

    model: str | Path
    outputs: tuple[str, ...] = ("component", "log_prob")
    key: str | None = None
    on_bad: Literal["raise", "null"] = "raise"

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown or not self.outputs:
            raise ValueError(f"outputs are some of {OUTPUTS}, got {self.outputs}")
        if self.on_bad not in ("raise", "null"):
            raise ValueError(f"on_bad must be 'raise' or 'null', got {self.on_bad!r}")

    @property
    def estimator(self) -> Estimator:
        """The model, loaded once by each process.

        Raises:
            OSError, ValueError: where the file cannot be used, or has not what is asked for.
        """
        path, model = Path(self.model), self.loaded
        if not model.has_clusters and {"component", "certainty"} & set(self.outputs):
            raise ValueError(f"{path} holds a density without clusters: ask for log_prob alone")
        if model.score_kind == "none" and "log_prob" in self.outputs:
            raise ValueError(f"{path} holds clusters without a density: it has no log_prob")
        return model

    @property
    def loaded(self) -> Estimator:
        """The model of the file, whatever it is asked for.

        Raises:
            OSError, ValueError: where the file cannot be used.
        """
        path = Path(self.model)
        status = path.stat()
        return _loaded(str(path.resolve()), status.st_mtime_ns, status.st_size)

    def __call__(self, batch: Any) -> Any:
        """What the model says of a batch, as a table of the kind that came.

        Args:
            batch: columns by name: a dict of arrays, a frame of pandas or polars, or a table or
                batch of Arrow's. Columns that the model does not know are left alone.

        Raises:
            ValueError: where columns are missing, or a row cannot be scored and ``on_bad`` is
                "raise".
        """
        frame = _frame(batch)
        return _like(batch, self._answers(frame))

    def _answers(self, frame: pd.DataFrame) -> pd.DataFrame:
        model = self.estimator
        names = list(model.column_names or [name for name in frame if name != self.key])
        missing = [
            name for name in [*names, *([self.key] if self.key else [])] if name not in frame
        ]
        if missing:
            raise ValueError(f"the batch lacks columns: {', '.join(map(str, missing[:10]))}")
        rows = cast("pd.DataFrame", frame[names])
        good = np.ones(len(rows), bool)
        if self.on_bad == "null" and not model.is_table:
            good = np.isfinite(rows.to_numpy(dtype=np.float64, na_value=np.nan)).all(axis=1)
        found: dict[str, Any] = {} if self.key is None else {self.key: frame[self.key]}
        told = self._told(model, cast("pd.DataFrame", rows[good])) if good.any() else {}
        for name in self.outputs:
            values = np.full(len(rows), np.nan)
            if good.any():
                values[good] = told[name]
            found[name] = pd.array(values, "Int64") if name == "component" else values
        return pd.DataFrame(found, index=frame.index)

    def _told(self, model: Estimator, rows: pd.DataFrame) -> dict[str, Any]:
        X: Any = rows if model.column_names else rows.to_numpy(dtype=np.float64)
        told: dict[str, Any] = {}
        if "log_prob" in self.outputs:
            told["log_prob"] = cast("DensityEstimator", model).score_samples(X)
        if {"component", "certainty"} & set(self.outputs):
            posterior = cast("Any", model).predict_proba(X)
            told |= {"component": posterior.argmax(1), "certainty": posterior.max(1)}
        return told


@lru_cache(maxsize=4)
def _loaded(path: str, changed: int, size: int) -> Estimator:
    """A model file, loaded again only where it has changed."""
    return load_estimator(Path(path))


def _frame(batch: Any) -> pd.DataFrame:
    """A batch as a frame of pandas."""
    if isinstance(batch, pd.DataFrame):
        return batch
    if isinstance(batch, Mapping):
        return pd.DataFrame(dict(batch))
    if hasattr(batch, "to_pandas"):
        return batch.to_pandas()
    raise TypeError(f"a batch has columns by name, got a {type(batch).__name__}")


def _like(batch: Any, frame: pd.DataFrame) -> Any:
    """Answers as a table of the kind of the batch."""
    kind = type(batch).__module__.partition(".")[0]
    if isinstance(batch, pd.DataFrame):
        return frame
    if isinstance(batch, Mapping):
        return {name: plain_column(frame[name]) for name in frame}
    if kind == "polars":
        import polars as pl

        return pl.from_pandas(frame)
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    return table if isinstance(batch, pa.Table) else table.combine_chunks().to_batches()[0]


def plain_column(column: Any) -> np.ndarray:
    """A column of answers as an array; NaN where there is none."""
    if column.dtype.name == "Int64":
        bad = column.isna()
        return column.astype(float).to_numpy() if bad.any() else column.to_numpy(dtype=np.int64)
    return column.to_numpy()
