"""Answers as frames, with the index of the rows asked about, where ``set_output`` asks for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config

from anabranch.data.extras import pandas_module

# what a vector of answers is called, one for each row
SERIES = {
    "predict": "component",
    "fit_predict": "component",
    "score_samples": "log_prob",
    "outlier_scores": "tail",
    "contamination_proba": "contamination",
    "missing_cells": "missing",
}
PROBABILITIES = ("predict_proba", "predict_log_proba")
Values = NDArray[np.generic]


class Named(Protocol):
    """An estimator that names its columns."""

    @property
    def column_names(self) -> list[str] | None:
        """Of the data; None where they had none."""
        ...


_asked: ContextVar[bool] = ContextVar("asked", default=False)


@contextmanager
def asked_once() -> Iterator[bool]:
    """Whether a method is asked by a user, and not by another method, which wants arrays."""
    first = not _asked.get()
    token = _asked.set(True)
    try:
        yield first
    finally:
        _asked.reset(token)


def container(estimator: object) -> str:
    """What ``set_output`` asks for: "default", "pandas" or "polars".

    Example:
        >>> from anabranch import GaussianMixture
        >>> mixture = GaussianMixture(1)
        >>> container(mixture), container(mixture.set_output(transform="pandas"))
        ('default', 'pandas')
    """
    own = vars(estimator).get("_sklearn_output_config", {})
    return str(own.get("transform", get_config()["transform_output"]))


def as_frames(estimator: Named, method: str, X: object, answer: object) -> object:
    """The answer of a method about the rows X, in the container that is wanted.

    Vectors become series called as the columns that `anabranch predict` writes, probabilities
    frames with the columns of ``transform``, and samples frames with those of the data.
    """
    kind = container(estimator)
    if kind == "default":
        return answer
    if isinstance(answer, np.ndarray) and method in SERIES:
        return _series(kind, SERIES[method], answer, X)
    if isinstance(answer, np.ndarray) and method in PROBABILITIES:
        return _frame(kind, _columns(estimator, answer.shape[1]), answer, X)
    if method == "sample":
        return _sample(estimator, kind, answer)
    return answer


def _columns(estimator: object, n_components: int) -> list[str]:
    """Those of ``transform``, where it gives the same, or the numbers of clusters."""
    tell = getattr(estimator, "get_feature_names_out", list)  # of scikit-learn's transformers
    names = [str(name) for name in tell()]
    same = len(names) == n_components
    return names if same else [f"component{k}" for k in range(n_components)]


def _sample(estimator: Named, kind: str, answer: object) -> object:
    rows, *others = answer if isinstance(answer, tuple) else (answer,)
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        names = estimator.column_names or [f"x{j}" for j in range(rows.shape[1])]
        rows = _frame(kind, names, rows, None)
    if not isinstance(answer, tuple):
        return rows
    return rows, *(_series(kind, "component", other, None) for other in others)


def _series(kind: str, name: str, values: Values, X: object) -> object:
    if kind == "polars":
        return _polars().Series(name, values)
    return pandas_module().Series(values, name=name, index=_index(X))


def _frame(kind: str, names: list[str], values: Values, X: object) -> object:
    if kind == "polars":
        return _polars().DataFrame(values, schema=names, orient="row")
    return pandas_module().DataFrame(values, columns=names, index=_index(X))


def _index(X: object) -> object:
    """The index of a frame of pandas; None for other tables."""
    index = getattr(X, "index", None)
    return None if index is None or isinstance(X, list | tuple) or callable(index) else index


def _polars() -> ModuleType:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise ImportError("frames of polars need it: pip install polars") from error
    return polars


def frames_out(method: Callable[..., object]) -> bool:
    """Whether a method gives rows, or answers about rows."""
    return method.__name__ in (*SERIES, *PROBABILITIES, "sample")
