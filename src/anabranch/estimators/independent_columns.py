"""Mixtures of flows that leave columns out which others determine."""

import numpy as np
from numpy.typing import NDArray

from anabranch.archive import Tree
from anabranch.estimators.column_warnings import dependent_columns
from anabranch.estimators.estimator import State
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.procedures.dependent_columns import fit_dependence
from anabranch.procedures.preparation import Preparation
from anabranch.transforms import Dependence

Array = NDArray[np.float64]


class IndependentColumns(PreparedEstimator):
    """A mixture of flows of the columns that are independent enough.

    Columns that others determine are left out of the density and put back in samples.
    """

    def _dependent(
        self, Z: Array, constant: NDArray[np.bool_], columns: list[str]
    ) -> NDArray[np.bool_]:
        fate = "it is left out of the density, which is one per unit of the others"
        determined = dependent_columns(Z, columns, fate)
        dependence = fit_dependence(Z, determined, constant)
        self.preparation_ = self.preparation_.with_dependence(dependence)
        # of so few rows that nothing can be left out
        return constant if dependence is not None else constant | determined

    @property
    def _seen_places(self) -> slice | list[int]:
        dependence = self.preparation_.dependence
        return slice(None) if dependence is None else dependence.kept

    @property
    def model_features(self) -> int:
        """How many columns its density sees."""
        preparation = vars(self).get("preparation_")
        dependence = None if preparation is None else preparation.dependence
        return super().model_features if dependence is None else len(dependence.kept)

    def _model_columns(self, width: int) -> list[str]:
        names, places = super()._model_columns(width), self._seen_places
        return names[places] if isinstance(places, slice) else [names[j] for j in places]

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        dependence = self.preparation_.dependence
        kept: dict[str, Tree] = {} if dependence is None else {"kept": list(dependence.kept)}
        return super().state() | kept

    def _restore(self, state: State) -> None:
        self._kept_columns = state.get("kept")
        super()._restore(state)

    def _blank_preparation(self, n_features: int) -> Preparation:
        blank = super()._blank_preparation(n_features)
        kept = vars(self).pop("_kept_columns", None)
        return (
            blank if kept is None else blank.with_dependence(Dependence(n_features, kept).double())
        )
