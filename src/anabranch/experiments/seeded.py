"""What an experiment measures on each seed: rows whose columns have names."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from anabranch.experiments.tables import text_table

Row = TypeVar("Row", bound=tuple[Any, ...])
P = ParamSpec("P")
# Fields of these types are columns of tables; others hold what pictures are made from.
SHOWN = (bool, int, float, str, np.number)
WORST = {"higher": np.min, "lower": np.max}


class Rows(Sequence[Row], Generic[Row]):
    """Named tuples of one type, whose fields are columns.

    Args:
        rows: instances of one `typing.NamedTuple`, at least one.
        seconds: how long they took, in the mean.

    Raises:
        ValueError: for no rows.
        AttributeError: by the methods, for a field that the rows do not have.

    Example:
        >>> from collections import namedtuple
        >>> Score = namedtuple("Score", "seed acc")
        >>> rows = Rows([Score(0, 0.5), Score(1, 0.75)])
        >>> rows.mean("acc"), rows.worst("acc"), rows.worst("acc", better="lower")
        (0.625, 0.5, 0.75)
        >>> print(rows.table())
        seed    acc
        0     0.500
        1     0.750
    """

    def __init__(self, rows: Iterable[Row], seconds: float = float("nan")) -> None:
        self._rows = tuple(rows)
        if not self._rows:
            raise ValueError("rows must hold at least one, got none")
        self.seconds = seconds

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows[Row]": ...
    def __getitem__(self, index: int | slice) -> "Row | Rows[Row]":
        if isinstance(index, slice):
            return Rows(self._rows[index], self.seconds)
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that are numbers or text."""
        first: Any = self._rows[0]
        pairs = zip(first._fields, first, strict=True)
        return tuple(name for name, value in pairs if isinstance(value, SHOWN))

    def column(self, field: str) -> NDArray[Any]:
        """The values of a field, (n,), or (n, ...) where each is an array."""
        return np.array([getattr(row, field) for row in self._rows])

    def mean(self, field: str) -> float:
        """The mean of a field."""
        return float(self.column(field).mean())

    def std(self, field: str) -> float:
        """The standard deviation of a field."""
        return float(self.column(field).std())

    def worst(self, field: str, better: str = "higher") -> float:
        """The least value of a field where higher ones are better, the largest otherwise."""
        return float(WORST[better](self.column(field)))

    def best(self, field: str, better: str = "higher") -> float:
        """The largest value of a field where higher ones are better, the least otherwise."""
        return self.worst(field, "lower" if better == "higher" else "higher")

    def gain(self, field: str, over: str) -> NDArray[np.float64]:
        """By how much one field is above another, (n,)."""
        return self.column(field) - self.column(over)

    def where(self, **values: object) -> "Rows[Row]":
        """The rows whose fields have these values."""
        wanted = values.items()
        kept = (r for r in self._rows if all(getattr(r, field) == v for field, v in wanted))
        return Rows(kept, self.seconds)

    def table(self, **formats: str) -> str:
        """Rows as text below the names of their fields; ``fall=".1e"`` writes small numbers.

        Fields that are neither numbers nor text, such as a fitted model, are left out.
        """
        fields = self.fields
        cells = [[_cell(getattr(r, f), formats.get(f)) for f in fields] for r in self._rows]
        return text_table([_spoken(field) for field in fields], cells)


def per_seed(
    seeds: Sequence[int],
    one_seed: Callable[Concatenate[int, P], Row],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Rows[Row]:
    """Measure on each seed: ``one_seed(seed, *args, **kwargs)``, and how long it took.

    Args:
        seeds: of data and starts.
        one_seed: gives one `typing.NamedTuple`.
        args: passed on.
        kwargs: passed on.

    Returns:
        The rows, in the order of the seeds; ``seconds`` is the mean time of one.

    Example:
        >>> from collections import namedtuple
        >>> Draw = namedtuple("Draw", "seed value")
        >>> per_seed((0, 1), lambda seed, scale: Draw(seed, seed * scale), 3.0).mean("value")
        1.5
    """
    started = time.perf_counter()
    rows = [one_seed(seed, *args, **kwargs) for seed in seeds]
    return Rows(rows, (time.perf_counter() - started) / max(len(rows), 1))


def joined(parts: Iterable[Rows[Row]]) -> Rows[Row]:
    """The rows of several tables of one type, one below the other."""
    return Rows(row for part in parts for row in part)


def table_of_means(first: str, groups: Mapping[str, Rows[Any]]) -> str:
    """One line for each group, with the means of all numbers but seeds.

    Args:
        first: what the names of the groups are, the head of the first column.
        groups: rows of one type, by name.

    Example:
        >>> from collections import namedtuple
        >>> Score = namedtuple("Score", "seed acc")
        >>> print(table_of_means("data", {"moons": Rows([Score(0, 0.5), Score(1, 0.75)])}))
        data     acc
        moons  0.625
    """
    some = next(iter(groups.values()))
    fields = [f for f in some.fields if f != "seed" and not isinstance(getattr(some[0], f), str)]
    cells = [[name, *(rows.mean(field) for field in fields)] for name, rows in groups.items()]
    return text_table([first, *map(_spoken, fields)], cells)


def _spoken(field: str) -> str:
    return field.replace("_", " ")


def _cell(value: Any, form: str | None) -> Any:
    if form is not None:
        return format(value, form)
    return float(value) if isinstance(value, np.floating) else value
