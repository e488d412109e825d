"""What every estimator says of itself, so that commands and files need not know which it is."""

import dataclasses
import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Literal, ParamSpec, Self, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from anabranch.archive import Tree
from anabranch.data.finite import check_finite
from anabranch.data.parquet_rows import ParquetRows
from anabranch.estimators.checks import check_levels, check_spread, column_names
from anabranch.estimators.frames_out import as_frames, asked_once, frames_out
from anabranch.estimators.groups import GroupedSettings
from anabranch.estimators.processes import alike
from anabranch.estimators.programs import Program
from anabranch.estimators.rows import length
from anabranch.estimators.summary import summary_html, summary_lines, summary_text
from anabranch.estimators.tables import named_columns, plain_table
from anabranch.functional.modes import usual_torch
from anabranch.training.devices import usable_device
from anabranch.training.threads import threads_for

# Rows that a model sees at once, at most.
MOST_ROWS = 8192
P = ParamSpec("P")
T = TypeVar("T")
Array = NDArray[np.float64]
Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | Sequence[Json] | None"
State: TypeAlias = dict[str, Any]
ScoreKind: TypeAlias = Literal["log-density", "bound", "none"]
Components: TypeAlias = Literal["searched", "required", "optional", "none"]


class Estimator(GroupedSettings):
    """An estimator that commands, reports and model files can ask.

    Attributes:
        takes_labels: whether known labels teach it.
        has_clusters: whether it has components, and tells that of a row.
        posteriors: the ``method`` of ``predict_proba`` that there are; empty where it takes none.
        score_kind: what ``score_samples`` gives, "none" where there is no such method.
        components: "searched" where ``n_components`` may be "auto", "required" where somebody has
            to say how many, "optional" where one is usual, "none" where it is no setting.
        takes_streams: whether it can be fitted to `anabranch.data.ParquetRows`.
        fitted_attribute: the attribute that ``fit`` sets last, or next to it.
    """

    takes_labels: ClassVar[bool] = False
    has_clusters: ClassVar[bool] = False
    posteriors: ClassVar[tuple[str, ...]] = ()
    score_kind: ClassVar[ScoreKind] = "log-density"
    components: ClassVar[Components] = "none"
    takes_streams: ClassVar[bool] = False
    fitted_attribute: ClassVar[str] = "model_"

    levels: int | None = None
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init_subclass__(cls, **settings: Any) -> None:
        """Keep public methods from what a process has set of torch, and a fit that fails from us.

        The defaults of torch would change the bits of a model or break it; and attributes of a fit
        that was refused, beside those of the one before, would make answers of neither.
        """
        super().__init_subclass__(**settings)
        for name, method in list(vars(cls).items()):
            known = name.startswith("_") or hasattr(GroupedSettings, name)
            if inspect.isfunction(method) and not known:
                setattr(cls, name, _guarded(method, undo=name.startswith("fit")))

    def __sklearn_is_fitted__(self) -> bool:
        return self.fitted_attribute in vars(self)

    # -- rows --------------------------------------------------------------------------------------

    def _validated(self, X: ArrayLike, *, reset: bool) -> Array:
        """Rows as float64, or an error that names the columns at fault."""
        if isinstance(X, ParquetRows):
            raise TypeError(
                f"ParquetRows go to the fit of a FlowMixture or a FlowDensity; here a "
                f"{type(self).__name__} takes rows in memory, and anabranch batch scores files"
            )
        rows = validate_data(
            self,
            plain_table(X),  # pyright: ignore[reportArgumentType] - "no_validation" is its only text
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        # frames lend their values read-only, which torch warns about; reversed rows it refuses
        X = np.require(rows, requirements=["W", "C"])
        columns = column_names(self, X.shape[1])
        check_finite(X, columns)
        self._check_values(X, columns, reset=reset)
        return X

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        """Refuse values that the model cannot hold."""
        if self.levels is not None:
            check_levels(X, self.levels, columns)
        elif reset:
            check_spread(X, columns)

    # -- asked by commands -----------------------------------------------------------------------

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit, in plain JSON values.

        Example:
            >>> from anabranch import GaussianMixture
            >>> facts = GaussianMixture(1).fit([[0.0], [2.0]]).facts()
            >>> facts["columns"], facts["components"], facts["weights"]
            (1, 1, [1.0])
        """
        names = self.column_names
        return {"estimator": type(self).__name__, "columns": self.n_features_in_, "names": names}

    def summary(self) -> str:
        """What there is to tell of a fit, a line each: weights, held-out score, start and stages.

        Example:
            >>> from anabranch import GaussianMixture
            >>> print(GaussianMixture(1).fit([[0.0], [2.0]]).summary())
            model       GaussianMixture
            columns     1
            components  1
            weights     1.000
        """
        check_is_fitted(self)
        return summary_text(summary_lines(self.facts()))

    def _repr_html_(  # pyright: ignore[reportIncompatibleMethodOverride] - theirs is a property
        self,
    ) -> str:
        """What a notebook shows: scikit-learn's picture, and the summary of a fit."""
        fitted = self.__sklearn_is_fitted__()
        table = summary_html(summary_lines(self.facts())) if fitted else ""
        return estimator_html_repr(self) + table

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    @property
    def column_names(self) -> list[str] | None:
        """Names of the columns that it was fitted to, None where they had none."""
        names = vars(self).get("feature_names_in_")
        return None if names is None else [str(name) for name in names]

    @property
    def is_table(self) -> bool:
        """Whether it takes tables of mixed columns."""
        return False

    @property
    def takes_missing(self) -> bool:
        """Whether rows may have missing cells, which it can count."""
        return False

    @property
    def model_features(self) -> int:
        """How many columns its density sees as real numbers."""
        return self.n_features_in_

    @property
    def context_size(self) -> int:
        """C, how many columns it is conditional on."""
        return 0

    @property
    def context_names(self) -> list[str] | None:
        """Their names, None where there are none."""
        return None

    @property
    def class_names(self) -> list[str] | None:
        """The classes of the components as text; None where there are none but their numbers."""
        return None

    def name_classes(self, names: Sequence[str | int]) -> None:
        """Call the classes of the components.

        Raises:
            TypeError: where there are no classes.
        """
        raise TypeError(f"a {type(self).__name__} learns from no labels, and has no classes")

    @property
    def _device(self) -> str:
        """Where torch computes: what ``device`` says, "auto" resolved."""
        return usable_device(vars(self).get("device", "cpu"))

    @property
    def has_facets(self) -> bool:
        """Whether ``predict_facets`` tells several clusterings of the same rows."""
        return False

    @property
    def started_from(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Rows of the table, and the clusters that the start alone gave them; None if unknown."""
        return None

    @classmethod
    def checkpoint_files(cls, path: Path) -> list[Path]:
        """The files that an unfinished fit with the checkpoint of that name has left."""
        return [path] if path.exists() else []

    @classmethod
    def fit_takes(cls, keyword: str) -> bool:
        """Whether ``fit`` has a keyword, such as "resume"."""
        fit: Any = getattr(cls, "fit")  # noqa: B009 - each subclass has its own
        known = inspect.signature(fit).parameters.values()
        return any(p.name == keyword or p.kind is p.VAR_KEYWORD for p in known)

    def fit_keeping_checkpoint(
        self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False, **given: Any
    ) -> Self:
        """Fit, and leave the checkpoint, for the caller to remove when the result is safe."""
        fit: Any = getattr(self, "fit")  # noqa: B009 - each subclass has its own keywords
        return fit(X, y, **given, **({"resume": True} if resume else {}))

    def program(self) -> Program:
        """What it says of rows as one module, for export to where there is no Python.

        Raises:
            ValueError: where no module can say it alone.
        """
        raise ValueError(
            f"a {type(self).__name__} cannot be exported: what it says of rows takes draws, a "
            "search, or several passes"
        )

    # -- asked by model files --------------------------------------------------------------------

    def settings(self) -> dict[str, Json]:
        """The parameters as plain JSON values, without what says nothing of the fitted model.

        Random states that are spent, estimators and clusters that a fit has started from, and the
        place of a checkpoint are left out.
        """
        settings = _plain(self.get_params(deep=False))
        if "start" in settings:
            usual = inspect.signature(type(self)).parameters["start"].default
            settings["start"] = _without_clusters(settings["start"], usual)
        options = settings.get("fit_options")
        if options:
            kept = {key: value for key, value in options.items() if key != "checkpoint"}
            settings["fit_options"] = kept or None
        return settings

    def state(self) -> dict[str, Tree]:
        """All that ``fit`` has found, as a tree of tensors and plain JSON values."""
        return {"feature_names": self.column_names}

    @classmethod
    def from_state(cls, settings: Mapping[str, Json], state: State) -> Self:
        """The fitted estimator again, on the CPU: the same bits from the same rows.

        Args:
            settings: of the constructor, as ``settings`` gives them.
            state: as ``state`` gives it.

        Example:
            >>> from anabranch import GaussianMixture
            >>> mixture = GaussianMixture(1).fit([[0.0], [2.0]])
            >>> again = GaussianMixture.from_state(mixture.settings(), mixture.state())
            >>> bool((again.means_ == mixture.means_).all())
            True
        """
        own: dict[str, Any] = dict(settings)
        estimator = cls(**(own | {"device": "cpu"} if "device" in own else own))
        if state["feature_names"] is not None:
            estimator.feature_names_in_ = np.asarray(state["feature_names"], dtype=object)
        with usual_torch():
            estimator._restore(state)
        return estimator

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Set all that ``fit`` would have set."""


def _guarded(method: Callable[P, T], *, undo: bool) -> Callable[P, T]:
    """A method under `usual_torch`, alike in all processes, undone where it fails.

    Columns by name, such as a batch of Arrow's, come to it as a frame; and its answers go out as
    frames where ``set_output`` wants that.
    """
    framed = frames_out(method)

    @wraps(method)
    def guarded(*given: P.args, **keywords: P.kwargs) -> T:
        own: Any = given[0]
        args: Any = (own, *map(named_columns, given[1:2]), *given[2:])
        if "X" in keywords:
            keywords["X"] = named_columns(keywords["X"])
        attributes = vars(own)
        before = dict(attributes)
        try:
            around = alike(own, args[1:], keywords) if undo else threads_for(_work(own, args[1:]))
            with usual_torch(), around, asked_once() as first:
                answer = method(*args, **keywords)
            if not (framed and first):
                return answer
            asked = args[1] if len(args) > 1 else keywords.get("X")
            return cast("T", as_frames(own, method.__name__, asked, answer))
        except BaseException:
            if undo:
                attributes.clear()
                attributes.update(before)
            raise

    return guarded


def _work(estimator: object, args: Sequence[object]) -> float:
    """Multiply-adds of a batch of rows, about; of what is no network, more than any."""
    model = vars(estimator).get("model_")
    if not isinstance(model, nn.Module):
        return math.inf
    rows = length(args[0]) if args else 0  # of samples, a number is given
    return min(rows or MOST_ROWS, MOST_ROWS) * sum(p.numel() for p in model.parameters())


def _without_clusters(start: Any, usual: Json) -> Json:
    if isinstance(start, Mapping):
        return {key: value for key, value in start.items() if key != "clusters"} or usual
    return start if isinstance(start, str) else usual


def _plain(value: Any) -> Any:
    """Settings as JSON values: arrays and tuples become lists, numpy numbers Python ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return None  # its state is spent; the fitted model does not need it
    if isinstance(value, BaseEstimator):
        return None  # what was taken from it is in the model
    if isinstance(value, Path):
        return str(value)
    return value
