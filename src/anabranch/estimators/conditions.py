"""The context of a conditional density: checked, and brought to the scale of networks."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array
from torch import Tensor

from anabranch.data.finite import check_finite
from anabranch.estimators.checks import check_spread
from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.estimators.tables import plain_table
from anabranch.transforms import Standardize

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Conditions:
    """What a density depends on.

    Columns are standardised; those of zeros and ones (one-hot classes) are left as they are, for a
    rare class would become a huge number.

    Attributes:
        names: of the columns where they came in a frame, else None.
        scale: the standardising.
    """

    names: list[str] | None
    scale: Standardize

    @classmethod
    def fit(cls, context: ArrayLike, n_rows: int) -> "Conditions":
        """Take the statistics from the context of training rows.

        Raises:
            ValueError: for a context that is no table of finite numbers with a row for each row.
        """
        names = _names(context)
        C = _table(context, n_rows, names)
        shown = _shown(names, C.shape[1])
        check_spread(C, shown)
        constant = np.ptp(C, axis=0) <= 1e-9 * np.abs(C).max(axis=0)
        if constant.any():
            warnings.warn(
                f"{', '.join(shown[j] for j in np.flatnonzero(constant)[:8])} does not vary: the "
                "density cannot learn to depend on it",
                ConstantColumnWarning,
                stacklevel=3,
            )
        conditions = cls.empty(C.shape[1], names)
        binary = np.isin(C, (0.0, 1.0)).all(0) & ~constant
        loc = np.where(binary, 0.0, C.mean(0))
        scale = np.where(binary | constant, 1.0, C.std(0))
        conditions.scale.set_statistics(torch.as_tensor(loc), torch.as_tensor(scale))
        return conditions

    @classmethod
    def empty(cls, n_features: int, names: list[str] | None) -> "Conditions":
        """With its statistics still to be set."""
        return cls(names, Standardize(n_features).double().eval())

    @classmethod
    def restored(
        cls, statistics: Mapping[str, Tensor] | None, names: list[str] | None
    ) -> "Conditions | None":
        """As a file holds them: the state of the standardising, or None for no context."""
        if statistics is None:
            return None
        conditions = cls.empty(len(next(iter(statistics.values()))), names)
        conditions.scale.load_state_dict(statistics)
        return conditions

    @property
    def n_features(self) -> int:
        """C, the columns of the context."""
        return self.scale.event_shape[0]

    def encode(self, context: ArrayLike | None, n_rows: int) -> Tensor:
        """A context as networks see it, (n, C) in float32.

        Raises:
            ValueError: for none, or one that does not fit.
        """
        if context is None:
            raise ValueError(
                f"context is required: the density was fitted to rows given {self.n_features} "
                f"columns of context{self._listed()}"
            )
        names = _names(context)
        C = _table(context, n_rows, names)
        if C.shape[1] != self.n_features:
            raise ValueError(
                f"context must have {self.n_features} columns{self._listed()}, got {C.shape[1]}"
            )
        if names is not None and self.names is not None and names != self.names:
            raise ValueError(f"context must have the columns {self.names}, got {names}")
        return self.scale.encode(torch.as_tensor(C))[0].float()

    def encode_for(self, context: ArrayLike | None, n: int) -> Tensor:
        """The context of n draws: one row for all of them, or n rows; (n, C)."""
        if context is not None and np.ndim(context) == 1:
            context = np.asarray(context)[None]
        alone = context is not None and np.shape(context)[:1] == (1,)
        return self.encode(context, 1 if alone else n).expand(n, -1)

    def _listed(self) -> str:
        return "" if self.names is None else f" ({', '.join(self.names[:8])})"


def _names(context: ArrayLike | None) -> list[str] | None:
    columns: Sequence[object] | None = getattr(context, "columns", None)
    return None if columns is None else [str(name) for name in columns]


def _shown(names: list[str] | None, n_features: int) -> list[str]:
    return [f"context {name}" for name in names or [f"c{j}" for j in range(n_features)]]


def _table(context: ArrayLike, n_rows: int, names: list[str] | None) -> Array:
    if np.ndim(context) != 2:
        raise ValueError(
            f"context must be a table of shape (n, C), got shape {np.shape(context)}; a single "
            "column is context.reshape(-1, 1)"
        )
    C = check_array(
        plain_table(context), dtype="float64", ensure_all_finite=False, input_name="context"
    )
    if len(C) != n_rows:
        raise ValueError(f"context has {len(C)} rows, expected {n_rows}")
    check_finite(C, names or [f"c{j}" for j in range(C.shape[1])], "context")
    return np.require(C, requirements="W")
