"""Mixtures of flows behind the preparation of a table of mixed columns."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.mixed_gaussians import MixedParameters
from anabranch.archive import Tree
from anabranch.estimators.curved import (
    blank_curved,
    check_curved_range,
    fit_curved,
    layout_of_kinds,
)
from anabranch.estimators.estimator import State
from anabranch.estimators.independent_columns import IndependentColumns
from anabranch.estimators.spaces import Spaces
from anabranch.estimators.supports import Bounds
from anabranch.estimators.table_columns import TableColumns, bounds_of, widths_of
from anabranch.procedures.category_shift import CategoryShift
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.product_preparation import Layout, ProductPreparation
from anabranch.procedures.rows import Rows
from anabranch.procedures.table_preparation import TablePreparation
from anabranch.procedures.table_task import complete, judge_by_draws

Array = NDArray[np.float64]


class TablePrepared(Spaces, TableColumns, IndependentColumns):
    """A mixture of flows that takes tables of mixed columns where it is told so."""

    @property
    def _width(self) -> int:
        """Columns of what the model sees."""
        coding = vars(self).get("coding_")
        return self.model_features + (0 if coding is None else len(coding.codes))

    def _on_the_line(self, X: Array) -> Callable[[Array], Array]:
        """The map of rows to real columns without bounds, by statistics of some rows."""
        if not self.is_table:
            return lambda rows: rows
        n_real = self.model_features
        preparation = self._fit_table(X, np.zeros(n_real, bool))
        return lambda rows: preparation.precisely(rows)[0][:, :n_real].numpy()

    def _prepare(self, X: Array, seed: int) -> None:
        if not self.is_table:
            super()._prepare(X, seed)
            return
        if not self._kinds():
            raise ValueError(
                f"no column of X is real, and a {type(self).__name__} needs one for its flows: a "
                "GaussianMixture takes tables of categories alone"
            )
        self.constant_ = np.zeros(self.n_features_in_, bool)
        layout, varies = self._curved(), np.zeros(len(self._kinds()), bool)
        if layout is None:
            self.preparation_ = self._fit_table(X, varies)
        else:
            self.preparation_ = fit_curved(X, layout, *self._linear(layout), varies)

    def _curved(self) -> Layout | None:
        """How columns lie in spaces, where some are angles or places.

        Where cells may be missing circles are cut open: what is missing is drawn from a Gaussian.
        """
        if self.coding_ is None or self.missing != "refuse":
            return None
        kinds = self._kinds()
        return layout_of_kinds(kinds, self.coding_.encoded_names[: len(kinds)])

    def _linear(self, layout: Layout) -> tuple[Bounds | None, list[float]]:
        """Bounds and widths of cells of the columns that are no angles and no places."""
        kinds = [self._kinds()[j] for j in layout.linear]
        return bounds_of(kinds), widths_of(kinds)

    def _check_range(self, z: Tensor, X: Array) -> None:
        if self.layout is None or self.coding_ is None:
            super()._check_range(z, X)
        else:
            check_curved_range(z, X, self.layout, self.coding_.encoded_names)

    def _rows(self, X: Array, targets: Array | None, random_state: np.random.RandomState) -> Rows:
        if not self.is_table:
            return super()._rows(X, targets, random_state)
        z, term = self.preparation_.encode(X)
        # what changes with the epochs: places in cells, and draws of missing ones
        changes = any(kind.is_whole for kind in self._kinds()) or np.isnan(X).any()
        known = None if targets is None else torch.as_tensor(targets, dtype=torch.float32)
        return Rows(z, term.float(), known, torch.as_tensor(X) if changes else None)

    def _model_columns(self, width: int) -> list[str]:
        return super()._model_columns(width) if self.coding_ is None else self.coding_.encoded_names

    def _propose(self, proposal: MixedParameters) -> None:
        """Keep the mixture from whose conditional missing cells are drawn."""
        if isinstance(self.preparation_, TablePreparation):
            self.preparation_.proposal = proposal

    @property
    def _moves(self) -> CategoryShift | None:
        """How far categories move real columns; None for not at all."""
        preparation = self.preparation_
        return preparation.shift if isinstance(preparation, TablePreparation) else None

    def _shift(self, shift: CategoryShift | None, *parts: Rows) -> None:
        """Keep how far categories move real columns, and take it from rows."""
        preparation = self.preparation_
        if shift is None or not isinstance(preparation, TablePreparation):
            return
        preparation.shift = shift
        d = preparation.n_real
        for rows in parts:
            rows.z[:, :d] -= shift.of(rows.z[:, d:])

    def _complete(self, rows: Rows, validation: Rows, seed: int) -> None:
        """Draw missing cells of rows to train on, and several times those of rows that judge."""
        preparation = self.preparation_
        if isinstance(preparation, TablePreparation):
            complete(rows, preparation, seed)
            judge_by_draws(validation, preparation, seed)

    def _blank_preparation(self, n_features: int) -> Preparation:
        fields = vars(self).pop("_layout_fields", None)
        if fields is not None:
            layout = Layout.from_plain(fields)
            return blank_curved(layout, *self._linear(layout))
        return self._blank_table() if self.is_table else super()._blank_preparation(n_features)

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        return super().state() | self._table_state()

    def _table_state(self) -> dict[str, Tree]:
        preparation = self.preparation_
        if isinstance(preparation, ProductPreparation):
            layout: dict[str, Tree] = {"layout": preparation.layout.plain()}
            return super()._table_state() | layout
        if not (isinstance(preparation, TablePreparation) and preparation.proposal):
            return super()._table_state()
        shift = preparation.shift
        moves: dict[str, Tree] = {} if shift is None else {"shift": list(shift.tables)}
        gaussian = preparation.proposal.gaussian
        proposal: Tree = {
            "weights": torch.as_tensor(gaussian.weights),
            "means": torch.as_tensor(gaussian.means),
            "covariances": torch.as_tensor(gaussian.covariances),
            "factors": [torch.as_tensor(table) for table in preparation.proposal.factors],
        }
        state: dict[str, Tree] = {"proposal": proposal}
        return super()._table_state() | state | moves

    def _restore(self, state: State) -> None:
        self._restore_table(state)
        self._layout_fields = state.get("layout")  # of older files none: there circles are cut open
        super()._restore(state)
        if self.coding_ is None or self.layout is not None:
            return
        proposal = state["proposal"]
        names = ("weights", "means", "covariances")
        gaussian = GaussianParameters(*(proposal[name].numpy() for name in names))
        factors = tuple(table.numpy() for table in proposal["factors"])
        preparation = cast("TablePreparation", self.preparation_)
        preparation.proposal = MixedParameters(gaussian, factors)
        if state.get("shift"):  # older files have none
            preparation.shift = CategoryShift(tuple(state["shift"]))
