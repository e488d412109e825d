"""How an estimator is trained: the settings that all of them share, checked once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
from torch import nn

from anabranch.archive import fingerprint
from anabranch.functional.numbers import (
    check_dict,
    check_not_negative,
    check_positive,
    check_share,
    check_whole,
    is_whole,
    real,
)
from anabranch.training import CosineDecay, FitOptions, HoldThenDecay, Schedule
from anabranch.training.devices import usable_device

KEEP = ("best", "last")
# Of flows, where there are many rows.
FLOW_LEARNING_RATE = 1e-2
# Settings of the loop that may stand in ``fit_options`` and are read elsewhere, too.
SHARED = ("patience", "weight_decay")
# What ``fit_options`` of every estimator holds beside the settings of the loop, and its default.
OF_ALL = {"keep": "best"}
# Evaluations, and steps after which the rate falls in any case, unless somebody is more patient.
USUAL_PATIENCE, LONGEST = 4, 6000
# What ``fit_options`` of a flow holds beside the settings of the loop, and its default.
OF_FLOWS = {"patience": USUAL_PATIENCE, "validation_fraction": 0.1, "weight_decay": 0.0}
# Rows held out also tell what a flow weighs against what hedges it.
HEDGED_FLOWS = {**OF_FLOWS, "validation_fraction": 0.15}


class Settings(Protocol):
    """What has scikit-learn's parameters."""

    def get_params(self, deep: bool = True) -> Mapping[str, object]:
        """The settings by name."""
        ...


@dataclass(frozen=True)
class Optimisation:
    """The settings of training that estimators share, refused by name where they cannot be meant.

    An estimator without one of them, such as ``patience`` where all epochs are run, has the default
    that stands here.

    Attributes:
        learning_rate: of AdamW; "auto" where the estimator chooses it by the number of rows.
        weight_decay: of AdamW.
        batch_size: rows per step, at most.
        max_epochs: upper limit of passes over the rows.
        patience: evaluations without improvement before a run stops; None to run all epochs.
        validation_fraction: share of the rows held out.
        keep: whether the state that was best on rows held out is what comes out, or the last.
        fit_options: further settings of `anabranch.training.FitOptions`.
        device: where the model is trained; "auto" becomes what is there.
        random_state: None, a seed, or a source of numbers.
        verbose: whether progress is shown.
        identity: what a checkpoint must share beside what the loop knows, as plain values.

    Raises:
        ValueError: naming the setting, what was given and what was expected.

    Example:
        >>> Optimisation(batch_size=2.5)
        Traceback (most recent call last):
        ValueError: batch_size must be an integer of at least 1, got 2.5
    """

    learning_rate: float | Literal["auto"] = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 512
    max_epochs: int = 500
    patience: int | None = None
    validation_fraction: float = 0.1
    keep: Literal["best", "last"] = "best"
    fit_options: Mapping[str, object] | None = None
    device: str = "cpu"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0
    identity: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.learning_rate != "auto":
            check_positive(self, ("learning_rate",))
        check_not_negative(self, ("weight_decay",))
        check_whole(self, ("batch_size",), 1)
        check_whole(self, ("max_epochs",), 0)
        check_whole(self, ("patience",), 0, optional=True)
        check_share(self, ("validation_fraction",))
        if self.keep not in KEEP:
            raise ValueError(f"keep must be one of {KEEP}, got {self.keep!r}")
        check_dict(self, ("fit_options",))
        _check_names(self.fit_options or {})
        object.__setattr__(self, "device", usable_device(self.device))
        check_random_state_setting(self.random_state)
        if not isinstance(self.verbose, bool):
            check_whole(self, ("verbose",), 0)

    @classmethod
    def of(
        cls,
        estimator: Settings,
        *,
        automatic_rate: bool = False,
        within: Mapping[str, object] | None = None,
        identity: Mapping[str, object] | None = None,
    ) -> Self:
        """Those of an estimator.

        Args:
            estimator: what has them among its parameters.
            automatic_rate: whether it understands a learning rate of "auto".
            within: settings that it has as keys of ``fit_options`` beside ``keep``, and their
                defaults; those that are none of the above are for the estimator itself to read.
            identity: what a checkpoint must share.

        Raises:
            ValueError: naming the first setting that cannot be meant.
        """
        given = estimator.get_params(deep=False)
        names = {field.name for field in fields(cls)} & set(given)
        settings: dict[str, Any] = {name: _plain(given[name]) for name in names}
        if settings.get("learning_rate") == "auto" and not automatic_rate:
            raise ValueError("learning_rate must be a positive number, got 'auto'")
        rate = settings.get("learning_rate")
        if automatic_rate and rate != "auto" and not 0 < real(rate) < math.inf:
            raise ValueError(f"learning_rate must be 'auto' or a positive number, got {rate!r}")
        options = settings.get("fit_options")
        if isinstance(options, Mapping):
            # what more than the loop reads, such as the schedule of the learning rate
            settings |= {name: _plain(options[name]) for name in SHARED if name in options}
        if options is None or isinstance(options, Mapping):
            further, beside = dict(options or {}), {**OF_ALL, **(within or {})}
            found = {name: _plain(further.pop(name, usual)) for name, usual in beside.items()}
            own = {field.name for field in fields(cls)}
            settings |= {name: value for name, value in found.items() if name in own}
            settings["fit_options"] = further or None
        return cls(**settings, identity=identity or {})

    def rate(self, usual: float) -> float:
        """The learning rate, where "auto" stands for the usual one.

        Example:
            >>> Optimisation(learning_rate="auto").rate(5e-3), Optimisation().rate(5e-3)
            (0.005, 0.001)
        """
        return usual if self.learning_rate == "auto" else float(self.learning_rate)

    def options(self, n_rows: int, *, least_batch: int = 64, **usual: object) -> FitOptions:
        """The settings of the loop.

        Args:
            n_rows: N; small tables need steps more than they need large batches, so that a batch is
                a quarter of them at most.
            least_batch: but not smaller than this.
            usual: what the estimator sets otherwise, which ``fit_options`` overrule.

        Example:
            >>> optimisation = Optimisation(fit_options={"average": 0.5})
            >>> options = optimisation.options(1000, average=0.99, patience=3)
            >>> options.batch_size, options.average, options.patience
            (250, 0.5, 3)
        """
        given: dict[str, Any] = {
            "max_epochs": self.max_epochs,
            "batch_size": min(self.batch_size, max(least_batch, n_rows // 4)),
            "weight_decay": self.weight_decay,
            "patience": self.patience,
            "progress": None if self.verbose else False,
            **usual,
            **{name: _plain(value) for name, value in (self.fit_options or {}).items()},
        }
        if "learning_rate" not in given:
            given["learning_rate"] = self.learning_rate
        return FitOptions(**given)


def flow_options(optimisation: Optimisation, n_rows: int, monitor: str = "nll") -> FitOptions:
    """The settings of the loop.

    Args:
        optimisation: what the user wants; a learning rate of "auto" is less for fewer than two
            thousand rows, where a flow overfits within few steps.
        n_rows: N.
        monitor: the validation term by which the best state is chosen.

    Example:
        >>> flow_options(Optimisation(learning_rate="auto"), 1000).learning_rate
        0.005
    """
    return optimisation.options(
        n_rows,
        learning_rate=optimisation.rate(FLOW_LEARNING_RATE * min(1.0, n_rows / 2000)),
        average=0.99,
        min_evaluation_steps=20,
        monitor=monitor,
    )


def run_identity(
    optimisation: Optimisation, model: nn.Module, options: FitOptions
) -> dict[str, object] | None:
    """What a checkpoint must share: the settings, and the start, whose shapes say little."""
    if options.checkpoint is None:
        return None
    return {**optimisation.identity, "start": fingerprint(model.state_dict())}


def with_rate(options: FitOptions, n_rows: int) -> tuple[FitOptions, Schedule]:
    """The options with the rate that goes with their patience, and its schedule.

    With patience the rate falls once nothing improves, and the run ends with it; without, it falls
    over the whole run.
    """
    if options.patience is None:
        steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
        return options, CosineDecay(steps)
    patience = options.patience
    rate = HoldThenDecay(patience=patience, longest=LONGEST * max(1, patience // USUAL_PATIENCE))
    return replace(options, patience=None), rate


def _plain(value: object) -> object:
    """Numbers of numpy, such as a grid search gives, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _check_names(fit_options: Mapping[str, object]) -> None:
    known = [*OF_ALL, *(field.name for field in fields(FitOptions))]
    for name in fit_options:
        if name not in known:
            raise ValueError(f"fit_options has no {name!r}: it takes {', '.join(known)}")


def check_random_state_setting(state: object) -> None:
    """Refuse what `sklearn.utils.check_random_state` would, by name.

    Raises:
        ValueError: for anything but None, a seed, or a source of numbers.
    """
    seed = is_whole(state) and 0 <= int(state) < 2**32
    source = isinstance(state, np.random.RandomState) or state is np.random
    if not (state is None or seed or source):
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a "
            f"numpy.random.RandomState, got {state!r}"
        )
