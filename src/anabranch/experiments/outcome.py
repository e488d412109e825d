"""What experiments are given and what they return."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BETTER = ("higher", "lower", "report")
BUDGETS = ("cpu", "full")
TUNING = 100


@dataclass(frozen=True)
class Figure:
    """One number of an experiment, and the level it has to reach.

    Attributes:
        name: what it is, with its unit.
        value: the number.
        target: the level; None where it is only reported.
        better: "higher" or "lower" for a level from below or above, "report" for none.

    Raises:
        ValueError: for another `better`, or a target that does not go with it.

    Example:
        >>> Figure("mean ACC", 0.993, target=0.990, better="higher").met
        True
        >>> Figure("k-means ACC", 0.93).met
    """

    name: str
    value: float
    target: float | None = None
    better: str = "report"

    def __post_init__(self) -> None:
        if self.better not in BETTER:
            raise ValueError(f"better must be one of {BETTER}, got {self.better!r}")
        if (self.target is None) != (self.better == "report"):
            raise ValueError(
                f"figure {self.name!r} has the target {self.target} and better={self.better!r}: "
                "a target needs 'higher' or 'lower', and these need a target"
            )

    @property
    def met(self) -> bool | None:
        """Whether the value reaches the target; None where there is none. NaN reaches nothing."""
        if self.target is None:
            return None
        value, target = float(self.value), float(self.target)
        return bool(value >= target if self.better == "higher" else value <= target)

    @property
    def wanted(self) -> str:
        """The target as text."""
        if self.target is None:
            return ""
        return f"{'>=' if self.better == 'higher' else '<='} {self.target:g}"

    def to_json(self) -> dict[str, Any]:
        """The figure as plain values; a value that is not finite, which JSON has not, is None."""
        value = float(self.value)
        return {
            "name": self.name,
            "value": value if math.isfinite(value) else None,
            "target": None if self.target is None else float(self.target),
            "better": self.better,
            "met": self.met,
        }


@dataclass
class Outcome:
    """What an experiment found.

    Attributes:
        figures: its numbers.
        settings: what it was run with, plain JSON values.
        table: a table to print.
        pictures: PNG and GIF files by name.
    """

    figures: list[Figure]
    settings: dict[str, Any]
    table: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What an experiment is run with.

    Settings are chosen on seeds from 100 on, which never see the test part of a data set: a part
    of the training rows stands for it. Others are for the figures.

    Attributes:
        seeds: of data and starts; all below 100, or none.
        budget: "cpu" for what two cores can do in minutes, "full" for the published size.
        data: folder that holds mnist/, uci/, ...; None where none was given.
    """

    seeds: tuple[int, ...]
    budget: str = "cpu"
    data: Path | None = None

    def __post_init__(self) -> None:
        if len({seed < TUNING for seed in self.seeds}) > 1:
            raise ValueError(
                f"seeds must all be below {TUNING}, for figures, or from there on, for choosing "
                f"settings, got {list(self.seeds)}"
            )

    @property
    def tuning(self) -> bool:
        """Whether settings are chosen, so that test parts are left alone."""
        return min(self.seeds) >= TUNING

    def path(self, *parts: str) -> Path:
        """A file of the data folder, or the folder itself.

        Raises:
            FileNotFoundError: where it is not there, or no folder was given.
        """
        wanted = "/".join(parts) or "data sets"
        if self.data is None:
            raise FileNotFoundError(
                f"this experiment reads {wanted}: give the folder of the data sets by --data DIR"
            )
        if not Path(self.data).is_dir():
            raise FileNotFoundError(f"there is no folder {self.data}, as given by --data")
        path = Path(self.data, *parts)
        if not path.exists():
            raise FileNotFoundError(
                f"there is no {wanted} in {self.data}, the folder given by --data"
            )
        return path
