"""What the columns of a table are: the kinds, how a user names them, and how they are told."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anabranch.data.cells import as_numbers, distinct, is_missing, is_numeric

Values = NDArray[Any]
PLACE = ("latitude", "longitude")
REALS = ("real", "positive", "interval", "circle", "count", "integer", "date", *PLACE)
CODES = ("binary", "category")
UNUSED = ("constant", "identifier")
SIMPLE = ("real", "positive", "count", "integer", "binary", "category", "date", "constant")
EXPECTED = (
    "'real', 'positive', ('interval', lower, upper), ('circle', period), "
    "('latlon', latitude column, longitude column), 'count', 'integer', 'binary', 'category', "
    "'date', 'constant', 'identifier' or 'auto'"
)

# Spreads up to so many times what double precision resolves at a column's size are rounding.
RESOLVED = 8 * np.finfo(np.float64).eps
FEW = 10  # distinct whole numbers, up to which a column is a category rather than a measure
GRID = 3  # how many places of the grid there may be for each of them
COARSE = 0.1  # robust standard deviations that a grid's step must exceed to be dequantized
TIES = 0.05  # share of rows that must repeat a value of such a column
WIDE = 20  # ratio of the 95th to the 5th percentile of positive values that are taken by factors
DISTINCT = 0.5  # share of distinct texts from which a column names its rows


@dataclass(frozen=True)
class ColumnKind:
    """What a column is.

    Attributes:
        name: "real", "positive" (x > 0), "interval", "circle", "count" (whole numbers from 0),
            "integer", "date", "latitude" or "longitude" in degrees; "binary" or "category";
            "constant" or "identifier", which no model sees.
        lower: lower end of an interval.
        upper: upper end of an interval, or the period of a circle.
        categories: the values of a binary or category, in the order of their codes; the one value
            of a constant.
        partner: name of the longitude that goes with a latitude, and the other way round.
    """

    name: str
    lower: float = -math.inf
    upper: float = math.inf
    categories: tuple[Any, ...] = ()
    partner: str = ""

    @property
    def is_real(self) -> bool:
        """Whether a density is told of it."""
        return self.name in REALS

    @property
    def is_code(self) -> bool:
        """Whether probabilities are told of it."""
        return self.name in CODES

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, which a density takes for cells."""
        return self.name in ("count", "integer")

    def plain(self) -> dict[str, Any]:
        """In plain JSON values; `from_plain` is the inverse."""
        fields = asdict(self)
        bounds = {k: fields[k] if math.isfinite(fields[k]) else None for k in ("lower", "upper")}
        return fields | bounds | {"categories": list(self.categories)}

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Self:
        """The kind of plain JSON values."""
        lower, upper = fields["lower"], fields["upper"]
        return cls(
            fields["name"],
            -math.inf if lower is None else float(lower),
            math.inf if upper is None else float(upper),
            tuple(fields["categories"]),
            fields.get("partner", ""),
        )


def read_kinds(spec: object, columns: Sequence[str]) -> dict[int, ColumnKind]:
    """Understand the parameter ``columns`` of an estimator: the kinds of some columns by place.

    Args:
        spec: "auto" or None for none, or a dict from names or numbers of columns to kinds. A place
            on the earth, ("latlon", latitude, longitude), names its two columns itself, in degrees,
            and its key is any text.
        columns: the names of all columns.

    Raises:
        ValueError: for an unknown column or kind, or a column that is named twice.

    Example:
        >>> kinds = read_kinds({"hour": ("circle", 24), "city": "category"}, ["city", "hour"])
        >>> kinds[1].name, kinds[1].upper, kinds[0].name
        ('circle', 24.0, 'category')
        >>> kinds = read_kinds({"place": ("latlon", "lat", "lon")}, ["lon", "lat"])
        >>> kinds[0].name, kinds[0].partner
        ('longitude', 'lat')
    """
    if spec is None or (isinstance(spec, str) and spec == "auto"):
        return {}
    if not isinstance(spec, Mapping):
        raise ValueError(f"columns must be 'auto' or a dict from columns to kinds, got {spec!r}")
    kinds: dict[int, ColumnKind] = {}
    for key, given in spec.items():
        for place, kind in _named(key, given, columns):
            if place in kinds:
                raise ValueError(f"columns names column {columns[place]!r} twice")
            kinds[place] = kind
    return {place: kind for place, kind in kinds.items() if kind.name != "auto"}


def _named(key: object, given: object, columns: Sequence[str]) -> list[tuple[int, ColumnKind]]:
    """The places and kinds of what one key names: a column, or the two of a place on the earth."""
    if isinstance(given, list | tuple) and len(given) == 3 and given[0] == "latlon":
        return [
            (place, ColumnKind(name, -most, most, (), columns[other]))
            for name, most, place, other in _latlon(given, columns)
        ]
    place = column_place(key, columns)
    automatic = isinstance(given, str) and given == "auto"
    return [(place, ColumnKind("auto") if automatic else _kind(key, given))]


def _latlon(given: Sequence[object], columns: Sequence[str]) -> list[tuple[str, float, int, int]]:
    latitude, longitude = (column_place(name, columns) for name in given[1:])
    if latitude == longitude:
        raise ValueError(f"latlon needs two columns, got {columns[latitude]!r} twice")
    return [
        ("latitude", 90.0, latitude, longitude),
        ("longitude", 360.0, longitude, latitude),
    ]


def column_place(key: object, columns: Sequence[str], argument: str = "columns") -> int:
    """The place of a column that is given by its name or its number.

    Args:
        key: the name, or the number, also as text.
        columns: all names.
        argument: whose key it is, for the error.

    Raises:
        ValueError: where there is no such column.

    Example:
        >>> column_place("age", ["sex", "age"]), column_place("0", ["sex", "age"])
        (1, 0)
    """
    if isinstance(key, str) and key in columns:
        return list(columns).index(key)
    # in model files, and on the command line, numbers are text
    number = int(key) if isinstance(key, str) and key.isdecimal() else key
    if isinstance(number, int | np.integer) and 0 <= number < len(columns):
        return int(number)
    shown = ", ".join(columns[:8]) + (", ..." if len(columns) > 8 else "")
    raise ValueError(f"{argument} names column {key!r}; there are {len(columns)}: {shown}")


def _kind(key: object, given: object) -> ColumnKind:
    if isinstance(given, str) and given in (*SIMPLE, "identifier"):
        return ColumnKind(given)
    if isinstance(given, list | tuple) and given:
        name, *ends = given
        numbers = [_number(value) for value in ends]
        if name == "interval" and len(numbers) == 2 and numbers[0] < numbers[1]:
            return ColumnKind("interval", numbers[0], numbers[1])
        if name == "circle" and len(numbers) == 1 and 0 < numbers[0] < math.inf:
            return ColumnKind("circle", 0.0, numbers[0])
    raise ValueError(f"the kind of column {key!r} must be {EXPECTED}, got {given!r}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return math.nan
    return float(value)


# -- told from values ------------------------------------------------------------------------------


def settled(kind: ColumnKind | None, values: Values, column: str) -> ColumnKind:
    """The kind of a column, told from its values where it is not given, with its categories.

    Raises:
        ValueError: where values are none of the given kind.

    Example:
        >>> settled(None, np.array(["a", "b", None, "a"], dtype=object), "x").categories
        ('a', 'b')
        >>> settled(None, np.array([0.1, 0.25, 1.75]), "x").name
        'real'
    """
    known = values[~is_missing(values)]
    if not len(known):
        return ColumnKind("constant")
    kind = infer_kind(known) if kind is None else kind
    if kind.is_code or kind.name == "constant":
        found = distinct(known)
        if kind.name == "binary" and len(found) > 2:
            raise ValueError(f"column {column!r} is no binary: it holds {len(found)} values")
        if kind.name == "constant" and len(found) > 1 and not _is_constant(known):
            raise ValueError(f"column {column!r} is no constant: it holds {len(found)} values")
        return replace(kind, categories=found if kind.is_code else found[:1])
    if kind.name != "identifier":
        check_values(kind, values, column)
    return kind


def infer_kind(known: Values) -> ColumnKind:
    """The kind that values speak for, none of them missing.

    Numbers with two values are binary; whole numbers with at most `FEW` values are categories, and
    integers or counts where their grid is coarse and values repeat; all others are real, and
    positive where they vary by factors. Text is a category, or an identifier where more than half
    of many values differ.

    Example:
        >>> infer_kind(np.array([3, 1, 2, 2, 1, 3, 3])).name
        'category'
    """
    if known.dtype.kind == "M":
        return ColumnKind("date")
    if not is_numeric(known):
        found = distinct(known)
        if len(found) == 1:
            return ColumnKind("constant")
        names_rows = len(known) > 2 * FEW and len(found) > DISTINCT * len(known)
        kind = "identifier" if names_rows else "category"
        return ColumnKind("binary" if len(found) == 2 else kind)
    numbers = as_numbers(known)
    if _is_constant(numbers):
        return ColumnKind("constant")
    found = np.unique(numbers)
    if len(found) == 2:
        return ColumnKind("binary")
    if not (np.floor(found) == found).all() or np.abs(found).max() > 2**53:
        return _real(numbers)
    repeated = 1 - len(found) / len(numbers)
    if len(found) <= FEW and np.ptp(found) <= GRID * len(found) and repeated > TIES:
        return ColumnKind("category")
    low, high = np.quantile(numbers, [0.25, 0.75])
    spread = (high - low) / 1.349 or numbers.std()
    if np.diff(found).min() > COARSE * spread and repeated > TIES:
        return ColumnKind("count" if found[0] >= 0 else "integer")
    return _real(numbers)


def _real(numbers: Values) -> ColumnKind:
    """Positive where values vary by factors, as incomes and sizes of cities do; else real."""
    low, high = np.quantile(numbers, [0.05, 0.95])
    return ColumnKind("positive" if numbers.min() > 0 and high > WIDE * low else "real")


def _is_constant(known: Values) -> bool:
    if not is_numeric(known):
        return len(distinct(known)) == 1
    numbers = as_numbers(known)
    return bool(np.ptp(numbers) <= RESOLVED * np.abs(numbers).max())


def check_values(kind: ColumnKind, values: Values, column: str) -> None:
    """Refuse values that are none of a kind.

    Raises:
        ValueError: naming the column, how many values, and one of them.

    Example:
        >>> check_values(ColumnKind("count"), np.array([1.0, 2.5]), "visits")
        Traceback (most recent call last):
        ValueError: column 'visits' is a count: 1 of 2 values are no whole numbers from 0, such ...
    """
    known = values[~is_missing(values)]
    if kind.name == "date":
        bad, expected = np.full(len(known), known.dtype.kind != "M"), "dates"
    elif not is_numeric(known):
        bad = np.array([not is_numeric(np.array([value])) for value in known], dtype=bool)
        expected = "numbers"
    else:
        bad, expected = _outside(kind, as_numbers(known))
    if bad.any():
        raise ValueError(
            f"column {column!r} is {_called(kind)}: {bad.sum()} of {len(known)} values are no "
            f"{expected}, such as {known[bad.argmax()]!s}"
        )


def _outside(kind: ColumnKind, numbers: Values) -> tuple[NDArray[np.bool_], str]:
    """Which numbers are none of the kind, and what was expected."""
    bad = ~np.isfinite(numbers)
    if kind.name == "positive":
        return bad | (numbers <= 0), "numbers above 0"
    if kind.name == "interval":
        expected = f"numbers between {kind.lower:g} and {kind.upper:g}"
        return bad | (numbers <= kind.lower) | (numbers >= kind.upper), expected
    if kind.name == "circle":
        return bad | (np.abs(numbers) > kind.upper), f"numbers within one turn of {kind.upper:g}"
    if kind.name in PLACE:
        return bad | (
            np.abs(numbers) > kind.upper
        ), f"degrees from -{kind.upper:g} to {kind.upper:g}"
    if kind.name == "count":
        return bad | (numbers < 0) | (np.floor(numbers) != numbers), "whole numbers from 0"
    if kind.name == "integer":
        return bad | (np.floor(numbers) != numbers), "whole numbers"
    return bad, "finite numbers"


def _called(kind: ColumnKind) -> str:
    return f"{'an' if kind.name[0] in 'aeiou' else 'a'} {kind.name}"
