"""Estimators whose model stands behind a fixed preparation of the data."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.data.parquet_rows import RowParts, Scan
from anabranch.estimators.base import MixtureEstimator
from anabranch.estimators.checks import check_range, column_names
from anabranch.estimators.column_warnings import (
    constant_columns,
    dependent_columns,
    warn_few_values,
    warn_stray,
)
from anabranch.estimators.estimator import Json, State
from anabranch.estimators.fitted import (
    finite,
    module_facts,
    module_state,
    result_facts,
    result_state,
)
from anabranch.estimators.held_out import HeldOut
from anabranch.estimators.rows import as_weights, length
from anabranch.estimators.streamed import row_stream
from anabranch.estimators.trained import TrainedDensity
from anabranch.procedures.preparation import Preparation, Preparing
from anabranch.procedures.rows import Rows
from anabranch.training import FitOptions, RowStream
from anabranch.transforms import Support

Array = NDArray[np.float64]
P = TypeVar("P", bound="PreparedDensity")


class PreparedDensity(TrainedDensity):
    """A flow behind standardising, or behind dequantization where the data are integers.

    Attributes:
        preparation_: the fixed transform before the flows.
        constant_: (D,) whether a column does not vary, or others determine it and it is kept.
        held_out_: which rows of the table judged the fit; None for none of it, or of older files.
    """

    reg_covar: float
    logit_alpha: float
    device: str
    preparation_: Preparation
    constant_: NDArray[np.bool_]
    held_out_: HeldOut | None = None

    def held_out_rows(self, X: ArrayLike) -> NDArray[np.int64] | None:
        """Which rows of a table the fit has not trained on, ascending.

        Args:
            X: (n, D) the table of the fit, in its order.

        Returns:
            Their places; None where X is another table, or the fit held none of it out.

        Example:
            >>> from anabranch import FlowDensity
            >>> X = np.random.RandomState(0).randn(100, 1)
            >>> density = FlowDensity(flow=None, random_state=0).fit(X)
            >>> len(density.held_out_rows(X)), density.held_out_rows(X[:50]) is None
            (15, True)
        """
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        return None if self.held_out_ is None else self.held_out_.among(rows)

    def _prepare(self, X: Array, seed: int) -> None:
        """Fit the preparation to training rows."""
        columns, how = column_names(self, X.shape[1]), self._preparing()
        real = how.levels is None
        constant = np.zeros(X.shape[1], bool)
        if real:
            constant = constant_columns(X, columns, how.reg_covar)
            warn_few_values(X, columns)
            warn_stray(X, columns)
        self.preparation_ = Preparation.fit(
            X,
            constant,
            levels=how.levels,
            alpha=how.alpha,
            support=self._support(X),
        )
        if real:
            Z = self.preparation_.transform.encode(torch.as_tensor(X))[0].numpy()
            constant = self._dependent(np.where(constant, 0.0, Z), constant, columns)
        self.constant_ = constant

    def _dependent(
        self, Z: Array, constant: NDArray[np.bool_], columns: list[str]
    ) -> NDArray[np.bool_]:
        """Find columns that others determine; which columns get noise in training, (D,)."""
        return constant | dependent_columns(Z, columns)

    def _preparing(self) -> Preparing:
        """The settings of the preparation."""
        return Preparing(self.levels, self.logit_alpha, self.reg_covar)

    def _support(self, X: Array) -> Support | None:
        """The map of bounded and periodic columns to the line, where an estimator has one."""
        return None

    def _rows(self, X: Array, targets: Array | None, random_state: np.random.RandomState) -> Rows:
        z, term = self.preparation_.encode(X)
        noisy = self._noisy
        if noisy.any():
            # without this a flow could raise the density of such a column without limit
            std = np.sqrt(self._preparing().reg_covar)
            noise = random_state.normal(0, std, (len(X), noisy.sum()))
            z[:, torch.as_tensor(noisy)] += torch.as_tensor(noise, dtype=z.dtype)
        return Rows(
            z,
            term.float(),
            None if targets is None else torch.as_tensor(targets, dtype=torch.float32),
            torch.as_tensor(X) if self.levels is not None else None,
            self.preparation_.features(X),
        )

    def _stream(
        self, scan: Scan, options: FitOptions, complete: Callable[[Rows, RowParts], None]
    ) -> RowStream:
        """Rows on disk as the flows see them, completed by what else is known of them."""

        def prepare(parts: RowParts, random_state: np.random.RandomState) -> Rows:
            rows = self._rows(parts.X, None, random_state)
            self._check_range(rows.z, parts.X)
            rows.weights = as_weights(parts.weights)
            complete(rows, parts)
            return rows

        return row_stream(scan, prepare, options.batch_size, self._device)

    def _check_range(self, z: Tensor, X: Array) -> None:
        """Refuse values that single precision cannot hold."""
        check_range(z, X[:, self._seen_places], self._model_columns(X.shape[1]))

    @property
    def _noisy(self) -> NDArray[np.bool_]:
        """Which numbers that the model sees get noise in training."""
        return self.constant_[self._seen_places]

    def _model_columns(self, width: int) -> list[str]:
        """Names of what the model sees."""
        return column_names(self, width)

    @property
    def _seen_places(self) -> slice | list[int]:
        """Which of the columns the model sees."""
        return slice(None)

    def _earlier(self, start: object, kind: type[P]) -> P | None:
        """The fit to go on from: of an estimator of that kind, or the "last" of this one."""
        if isinstance(start, FrozenEstimator):
            start = start.estimator
        if isinstance(start, kind):
            check_is_fitted(start)
            return start
        last = isinstance(start, str) and start == "last" and hasattr(self, "model_")
        return self if last and isinstance(self, kind) else None

    def _batches(self, X: ArrayLike, context: Tensor | None = None) -> Iterator[Rows]:
        """Rows as the flows see them, a few thousand at a time."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        rows = max(256, min(8192, 2**24 // (X.shape[1] * getattr(self, "n_components_", 1))))
        for start in range(0, len(X), rows):
            part = X[start : start + rows]
            z, term = self.preparation_.encode(part)
            self._check_range(z, part)
            features = self.preparation_.features(part)
            if features is not None:
                features = features.to(self._device)
            given = None if context is None else context[start : start + rows].to(self._device)
            yield Rows(z.to(self._device), term, features=features, context=given)

    # -- what it says of itself ------------------------------------------------------------------

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        score = {"score": finite(self.lower_bound_), "score_is": "validation mean"}
        fit, model = result_facts(self.fit_result_), module_facts(self.model_)
        return super().facts() | score | {"levels": self.levels} | fit | model

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        return super().state() | {
            "model": module_state(self.model_),
            "preparation": dict(self.preparation_.transform.state_dict()),
            "constant": torch.as_tensor(self.constant_),
            "result": result_state(self.fit_result_),
            "held_out": None if self.held_out_ is None else self.held_out_.state(),
        }

    def _restore(self, state: State) -> None:
        self.constant_ = state["constant"].numpy()
        self.n_features_in_ = len(self.constant_)
        self.preparation_ = self._blank_preparation(self.n_features_in_)
        self.preparation_.transform.load_state_dict(state["preparation"])
        found = state.get("held_out")  # older files do not tell
        self.held_out_ = None if found is None else HeldOut.from_state(found)

    def _blank_preparation(self, n_features: int) -> Preparation:
        """The preparation with its statistics still to be set."""
        how = self._preparing()
        return Preparation.empty(n_features, levels=how.levels, alpha=how.alpha)


class PreparedEstimator(PreparedDensity, MixtureEstimator):
    """A mixture behind standardising or dequantization."""

    @abstractmethod
    def _draw(
        self, n: int, component: int | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw n points before the preparation is undone, and their components."""

    def _sample(
        self, n: int, component: int | None, random_state: np.random.RandomState
    ) -> tuple[Array, NDArray[np.int64]]:
        seed = int(random_state.randint(2**31 - 1))
        z, labels = self._draw(n, component, torch.Generator(self._device).manual_seed(seed))
        return self.preparation_.decode(z), labels.cpu().numpy()

    def _seen(self, X: ArrayLike) -> Iterator[Tensor]:
        """What the posterior network sees of rows; integers are not dequantized for it."""
        if self.levels is None:
            yield from (rows.seen for rows in self._batches(X))
            return
        check_is_fitted(self)
        for part in np.array_split(self._validated(X, reset=False), length(X) // 8192 + 1):
            features = self.preparation_.features(part)
            assert features is not None
            yield features.to(self._device)
