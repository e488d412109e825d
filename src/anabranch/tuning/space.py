"""Where settings are searched: choices, and ranges of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anabranch.functional.numbers import real

Space = Mapping[str, "Sequence[object] | Range"]


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, whole where both bounds are.

    Attributes:
        low: the least.
        high: the greatest.
        log: whether factors are alike, as for learning rates, and not differences.

    Raises:
        ValueError: for bounds that are no range.

    Example:
        >>> Range(1e-3, 1e-1, log=True), Range(2, 1)
        Traceback (most recent call last):
        ValueError: a range goes from less to more, got 2 to 1
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not real(self.low) < real(self.high):
            raise ValueError(f"a range goes from less to more, got {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above zero, got {self.low}")


USUAL: Space = {
    "flow": ("realnvp", "maf", "nsf"),
    "learning_rate": Range(1e-3, 3e-2, log=True),
    "batch_size": (128, 256, 512),
}


def check_space(space: Space, known: Mapping[str, object]) -> None:
    """Refuse a space with settings that an estimator has not, or with nothing to choose from.

    Args:
        space: by the names of the settings, ``group__key`` for one within a group.
        known: the settings of the estimator by name.

    Raises:
        ValueError: naming the setting.

    Example:
        >>> check_space({"flows": ["maf"]}, {"flow": None})
        Traceback (most recent call last):
        ValueError: space has no setting 'flows': there are flow
    """
    if not space:
        raise ValueError("space must have a setting to search for, got none")
    for name, values in space.items():
        if name.partition("__")[0] not in known:
            raise ValueError(f"space has no setting {name!r}: there are {', '.join(known)}")
        if not isinstance(values, Range) and (isinstance(values, str) or not len(values)):
            raise ValueError(
                f"space[{name!r}] must be a list of choices or a Range, got {values!r}"
            )


def suggested(trial: Any, space: Space) -> dict[str, object]:
    """The settings that a trial of Optuna is to try."""
    found: dict[str, object] = {}
    for name, values in space.items():
        if isinstance(values, Range):
            whole = isinstance(values.low, int) and isinstance(values.high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            found[name] = suggest(name, values.low, values.high, log=values.log)
        else:  # by number: choices may be dicts
            found[name] = values[trial.suggest_categorical(name, list(range(len(values))))]
    return found
