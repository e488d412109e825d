"""Search for settings by Optuna, judged by the log-density of rows that no fit has seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state

from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.labels import coded
from anabranch.estimators.rows import length, split_rows
from anabranch.training import Callback, callbacks
from anabranch.tuning.space import USUAL, Space, check_space, suggested

Array = NDArray[np.float64]
E = TypeVar("E", bound=DensityEstimator)
# A trial is stopped early only once so many have shown what is usual.
STARTUP = 5


@dataclass(frozen=True)
class Tuned(Generic[E]):
    """What a search has found.

    Attributes:
        estimator: fitted to all rows with the settings.
        settings: that were best; none where the estimator as it was is not beaten.
        held_out: mean log-density of rows held out, in nats, of the best trial. It was chosen to be
            the highest: of many trials on few rows it is a little too good.
        untuned: the same of the estimator as it was.
        gain_error: the standard error of the difference of the two.
        trials: settings and held-out nats of each trial; None for one that was stopped early.
    """

    estimator: E
    settings: dict[str, object]
    held_out: float
    untuned: float
    gain_error: float
    trials: list[tuple[dict[str, object], float | None]] = field(repr=False)


@dataclass(frozen=True)
class Tuner:
    """A search for settings.

    All trials are fitted to the same rows and judged by the same others, by their mean log-density
    in nats. A trial whose validation falls behind the median of those before is stopped.

    Attributes:
        space: lists of choices and `Range` by the name of the setting, ``group__key`` within a
            group; None for flows, learning rates and batch sizes.
        n_trials: fits, beside that of the estimator as it is.
        held_out_fraction: of rows that judge.
        storage: address of a database of Optuna, such as "sqlite:///search.db", in which a search
            is kept and gone on with; None for memory.
        name: of the search there.
        random_state: seed of the search and of the split.

    Raises:
        ValueError: for fewer than one trial, or a share of rows that is none.

    Example:
        >>> from anabranch import FlowDensity
        >>> X = np.random.RandomState(0).exponential(size=(200, 1))
        >>> tuner = Tuner({"max_epochs": [1, 2]}, n_trials=1)
        >>> tuned = tuner.search(FlowDensity(flow=None, random_state=0), X)
        >>> len(tuned.trials), tuned.held_out >= tuned.untuned
        (1, True)
    """

    space: Space | None = None
    n_trials: int = 20
    held_out_fraction: float = 0.2
    storage: str | None = None
    name: str = "anabranch"
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.n_trials < 1:
            raise ValueError(f"n_trials must be at least 1, got {self.n_trials}")
        if not 0 < self.held_out_fraction < 1:
            raise ValueError(f"held_out_fraction must be in (0, 1), got {self.held_out_fraction}")

    def search(self, estimator: E, X: Any, y: ArrayLike | None = None) -> Tuned[E]:
        """Try settings, and fit the best to all rows.

        Args:
            estimator: with the settings that are not searched for; it is left as it is.
            X: (n, D) array or frame.
            y: labels, -1 where unknown; rows with labels are held out only where all have some.

        Raises:
            ImportError: where Optuna is not installed (extra ``tune``).
            ValueError: for a space that the estimator has not, or settings that it refuses.
        """
        optuna = optuna_module()
        space = USUAL if self.space is None else self.space
        check_space(space, estimator.get_params(deep=False))
        known = None if y is None else _known(np.asarray(y))
        random_state = check_random_state(self.random_state)
        rows, judging = split_rows(length(X), known, self.held_out_fraction, random_state)
        taught = None if y is None else np.asarray(y)[rows]
        X_train, X_judge = _rows(X, rows), _rows(X, judging)

        def score(settings: Mapping[str, object], *watching: Callback) -> Array:
            tried: Any = clone(estimator)
            with callbacks(*watching):
                tried.set_params(**settings).fit(X_train, taught)
            return tried.score_samples(X_judge)

        base = score({})
        told: dict[int, Array] = {}
        study = optuna.create_study(
            storage=self.storage,
            study_name=self.name,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self.random_state),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
            load_if_exists=True,
        )
        study.optimize(_objective(score, space, told), n_trials=self.n_trials)
        return self._concluded(study, space, (estimator, X, y), (score, base, told))

    def _concluded(
        self,
        study: Any,
        space: Space,
        given: tuple[E, Any, ArrayLike | None],
        found: tuple[Callable[..., Array], Array, dict[int, Array]],
    ) -> Tuned[E]:
        (estimator, X, y), (score, base, told) = given, found
        ended = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
        trials = [(_settings(trial, space), trial) for trial in ended]
        values = [
            (settings, trial.value if _is_whole(trial) else None) for settings, trial in trials
        ]
        whole = [(settings, trial) for settings, trial in trials if _is_whole(trial)]
        settings, best = max(whole, key=lambda pair: pair[1].value, default=({}, None))
        judged = base
        if best is not None and best.value > base.mean():
            judged = told[best.number] if best.number in told else score(settings)
        else:
            settings = {}
        error = float((judged - base).std() / np.sqrt(len(base)))
        fitted: Any = clone(estimator)
        fitted.set_params(**settings).fit(X, y)
        return Tuned(fitted, settings, float(judged.mean()), float(base.mean()), error, values)


class _Pruning(Callback):
    """Tells Optuna how a trial goes, and stops it where it falls behind."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial

    def on_evaluation(self, stage: str | None, entry: Mapping[str, float]) -> None:
        score = entry.get("validation_nll")
        if stage != "train" or score is None:
            return
        self.trial.report(-score, int(entry["step"]))
        if self.trial.should_prune():
            raise optuna_module().TrialPruned


def _objective(
    score: Callable[..., Array], space: Space, told: dict[int, Array]
) -> Callable[[Any], float]:
    def objective(trial: Any) -> float:
        told[trial.number] = score(suggested(trial, space), _Pruning(trial))
        return float(told[trial.number].mean())

    return objective


def _is_whole(trial: Any) -> bool:
    return trial.state.name == "COMPLETE"


def _settings(trial: Any, space: Space) -> dict[str, object]:
    """The settings of a trial that was, in which choices are kept by their numbers."""
    return suggested(optuna_module().trial.FixedTrial(trial.params), space)


def _known(y: NDArray[np.generic]) -> Array:
    """Which rows have labels, as `split_rows` wants it, (n, 1)."""
    numbers = np.asarray(coded(y)[0], np.float64)
    known = numbers.sum(1) > 0 if numbers.ndim == 2 else numbers >= 0
    return known[:, None].astype(np.float64)


def _rows(X: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of a frame or an array."""
    return _safe_indexing(X, rows)


def optuna_module() -> Any:
    """Optuna, which says nothing of each trial.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        optuna = import_module("optuna")
    except ImportError as error:
        raise ImportError("Optuna is not installed: pip install anabranch[tune]") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
