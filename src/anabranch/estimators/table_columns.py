"""Estimators of tables as they are: columns of several kinds, and cells that are missing."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from anabranch.data.column_kinds import PLACE, ColumnKind
from anabranch.data.frames import table_columns
from anabranch.data.table_coding import TableCoding
from anabranch.estimators.base import MixtureEstimator, share_below
from anabranch.estimators.checks import check_spread
from anabranch.estimators.column_warnings import ColumnWarning
from anabranch.estimators.estimator import Json
from anabranch.estimators.supports import Bounds, make_support
from anabranch.procedures.table_preparation import TablePreparation
from anabranch.transforms import Support

Array = NDArray[np.float64]
MISSING = ("refuse", "marginal")


class CodedRows(NamedTuple):
    """Rows of a table that are numbers already, as `TableCoding.encode` gives them."""

    rows: Array


class TableColumns(MixtureEstimator):
    """A mixture that takes tables of mixed columns where it is told so, by one of two settings.

    Attributes:
        columns: None for numbers, all real; "auto", or the kinds of columns.
        missing: "refuse", or "marginal" to sum missing cells out.
        coding_: how the columns of such a table stand in an array; None for plain numbers.
    """

    columns: object = None
    missing: str = "refuse"
    coding_: TableCoding | None
    takes_tables: ClassVar[bool] = True

    @property
    def is_table(self) -> bool:
        """Whether rows are told by kinds of columns."""
        return self.columns is not None or self.missing != "refuse"

    @property
    def takes_missing(self) -> bool:
        """Whether missing cells are summed out."""
        return self.missing != "refuse"

    @property
    def model_features(self) -> int:
        """D, the real columns that a density is told of."""
        coding = vars(self).get("coding_")
        return super().model_features if coding is None else len(coding.reals)

    def missing_cells(self, X: ArrayLike) -> NDArray[np.int64]:
        """How many cells of each row are missing, (n,)."""
        coding = vars(self).get("coding_")
        if coding is None:
            return np.zeros(len(self._validated(X, reset=False)), np.int64)
        return np.isnan(self._validated(X, reset=False)).sum(1)

    def _tail(self, X: ArrayLike, drawn: Array) -> Array:
        """As for numbers; a row with gaps among drawn rows with the same gaps."""
        if not self.is_table:
            return super()._tail(X, drawn)
        rows = self._validated(X, reset=False)
        shares = np.empty(len(rows))
        patterns, of_row = np.unique(np.isnan(rows), axis=0, return_inverse=True)
        for number, gaps in enumerate(patterns):
            own = of_row.reshape(-1) == number
            alike = CodedRows(np.where(gaps, np.nan, drawn))
            scores = self.score_samples(alike), self.score_samples(CodedRows(rows[own]))
            shares[own] = share_below(*scores)
        return shares

    def _score_numbers(self, rows: Array) -> Array:
        return self.score_samples(CodedRows(rows))

    def _validated(self, X: Any, *, reset: bool) -> Array:
        if isinstance(X, CodedRows):
            return X.rows
        if reset:
            self.coding_ = None
        elif not self.is_table:
            return super()._validated(X, reset=False)
        return self._coded(X, reset=reset) if self.is_table else super()._validated(X, reset=True)

    def _coded(self, X: Any, *, reset: bool) -> Array:
        """A table as numbers, or an error that names the column at fault."""
        if self.missing not in MISSING:
            raise ValueError(f"missing must be one of {MISSING}, got {self.missing!r}")
        table = table_columns(X)
        validate_data(self, X, reset=reset, skip_check_array=True)  # names and their number
        if reset:
            spec = dict.fromkeys(table, "real") if self.columns is None else self.columns
            self.coding_ = TableCoding.of(X, spec)
            _warn_left_out(self.coding_)
        coding = self.coding_
        if coding is None:
            raise ValueError("columns and missing were set after the fit: fit again")
        rows = coding.encode(X)
        if rows.shape[1] == 0:
            raise ValueError("no column of X is left: all are constants or identifiers")
        if len(rows) < (2 if reset else 1):
            raise ValueError(f"Found array with {len(rows)} sample(s), which are too few")
        if self.missing == "refuse":
            _refuse_missing(rows, coding.encoded_names)
        if reset and coding.reals:
            names = coding.encoded_names[: len(coding.reals)]
            check_spread(_filled(rows[:, : len(coding.reals)]), names)
        return rows

    def _check_plain(self) -> None:
        """Refuse to be one module where columns are coded before it."""
        if self.is_table:
            raise ValueError(
                f"a {type(self).__name__} of a table of mixed columns cannot be exported: its "
                "columns are coded before any module sees them"
            )

    def _fit_table(self, X: Array, constant: NDArray[np.bool_]) -> TablePreparation:
        """The preparation of the rows of a table; circles are cut open, and places refused."""
        kinds = self._kinds()
        _refuse_places(kinds, self.missing)
        support = _support(X[:, : len(kinds)], kinds)
        return TablePreparation.of_rows(X, constant, widths=widths_of(kinds), support=support)

    def _blank_table(self) -> TablePreparation:
        """The preparation with its statistics still to be set."""
        kinds = self._kinds()
        ends = bounds_of(kinds)
        # any bounds will do; a circle needs two
        blank = None if ends is None else make_support(np.ones((1, len(kinds))), ends)
        return TablePreparation.blank(widths_of(kinds), support=blank)

    def _kinds(self) -> list[ColumnKind]:
        """Of the real columns of a table."""
        return [] if self.coding_ is None else [column.kind for column in self.coding_.reals]

    def _table_state(self) -> dict[str, Any]:
        return {} if self.coding_ is None else {"coding": self.coding_.plain()}

    def _restore_table(self, state: dict[str, Any]) -> None:
        coding = state.get("coding")
        self.coding_ = None if coding is None else TableCoding.from_plain(coding)
        if self.coding_ is not None:
            self.n_features_in_ = len(self.coding_.columns)

    def _as_given(self, X: Array) -> Any:
        """Rows as the table that was fitted held them."""
        return X if self.coding_ is None else self.coding_.decode(X)

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        coding = vars(self).get("coding_")
        if coding is None:
            return super().facts()
        kinds = {column.name: column.kind.name for column in coding.columns}
        return super().facts() | {"kinds": kinds, "missing": self.missing}

    def _chosen(self, columns: Sequence[int | str]) -> NDArray[np.int64]:
        """Columns by number or name as numbers."""
        check_is_fitted(self)
        if self.is_table:
            raise ValueError("marginal and conditional are of plain numbers, not of mixed columns")
        names = self.column_names or []
        places = {name: place for place, name in enumerate(names)}
        found = [places.get(c, -1) if isinstance(c, str) else int(c) for c in columns]
        within = all(0 <= place < self.n_features_in_ for place in found)
        if not found or not within or len(set(found)) < len(found):
            shown = f" or {names}" if names else ""
            raise ValueError(
                f"columns must be different ones of 0..{self.n_features_in_ - 1}{shown}, "
                f"got {list(columns)}"
            )
        return np.array(found, np.int64)

    def _known_values(self, known: NDArray[np.int64], values: ArrayLike) -> Array:
        """A finite number for each of some columns, which are not all of them."""
        given = np.asarray(values, dtype=np.float64)
        if given.shape != (len(known),) or not np.isfinite(given).all():
            raise ValueError(
                f"values must be {len(known)} finite numbers, one for each column, got "
                f"{given.tolist()}"
            )
        if len(known) == self.n_features_in_:
            raise ValueError("columns must leave one whose density is asked for, got all of them")
        return given


def _refuse_places(kinds: list[ColumnKind], missing: str) -> None:
    if any(kind.name in PLACE for kind in kinds):
        why = "with missing='refuse'" if missing != "refuse" else "and a FlowDensity by support"
        raise ValueError(f"columns: only a FlowMixture {why} takes ('latlon', latitude, longitude)")


def _refuse_missing(rows: Array, names: list[str]) -> None:
    missing = np.isnan(rows).sum(0)
    if missing.any():
        bad = np.flatnonzero(missing)
        shown = ", ".join(f"{names[j]!r} ({missing[j]})" for j in bad[:5])
        raise ValueError(
            f"X holds NaN in {len(bad)} columns: {shown}; missing='marginal' sums missing cells out"
        )


def _warn_left_out(coding: TableCoding) -> None:
    for kind, why in (
        ("constant", "hold one value, or none"),
        ("identifier", "name rows: their values hardly repeat"),
    ):
        names = coding.left_out(kind)
        if names:
            shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
            warnings.warn(f"columns that {why} are left out: {shown}", ColumnWarning, stacklevel=5)


def _filled(reals: Array) -> Array:
    """Missing cells at the median of the column, for checks of its values."""
    return np.where(np.isnan(reals), np.nanmedian(reals, axis=0), reals)


def widths_of(kinds: list[ColumnKind]) -> list[float]:
    """Of the cells of columns, 0 for none."""
    return [float(kind.is_whole) for kind in kinds]


def bounds_of(kinds: list[ColumnKind]) -> Bounds | None:
    """Where real columns live; None where all live on the line."""
    half = ("positive", "count")
    lower = np.array([0.0 if kind.name in half else kind.lower for kind in kinds])
    upper = np.array([kind.upper for kind in kinds])
    periodic = np.array([kind.name == "circle" for kind in kinds])
    bounded = np.isfinite(lower) | np.isfinite(upper)
    return Bounds(lower, upper, periodic) if bounded.any() else None


def _support(reals: Array, kinds: list[ColumnKind]) -> Support | None:
    bounds = bounds_of(kinds)
    return None if bounds is None else make_support(_filled(reals), bounds)
