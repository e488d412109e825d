"""What a fit of a mixture of flows shall do: its settings, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.gaussians.starts import COVARIANCE_TYPES
from anabranch.estimators.groups import GroupedSettings, read_group, within
from anabranch.estimators.identity import loop_identity
from anabranch.estimators.unused import warn_unused
from anabranch.functional.numbers import check_choice, check_components
from anabranch.procedures.mixture_options import (
    Consistency,
    FlowMixtureOptions,
    ModelOptions,
    SemiSupervised,
    Spec,
    Temperature,
)
from anabranch.procedures.mixture_starts import INIT_PARAMS
from anabranch.procedures.optimisation import HEDGED_FLOWS, Optimisation

# recipes whose components are fitted by EM, without steps
BY_ROWS = ("vine",)
# of the broad density, before it is learned
INITIAL_SHARE = 0.01
# what `fit_options` holds beside the settings of the loop, and its default
TRAINING = {**HEDGED_FLOWS, "snapshots": 0}
GROUPS: dict[str, type] = {
    "model_options": ModelOptions,
    "temperature": Temperature,
    "consistency": Consistency,
    "semi_supervised": SemiSupervised,
    "flow": dict,
    "fit_options": dict,
}
OLD_NAMES = {
    **{
        name: f"model_options__{name}"
        for name in ModelOptions.__dataclass_fields__
        if name not in ("hedge", "contamination", "local_dependence")
    },
    "temperature_decay": "temperature__decay",
    "temperature_floor": "temperature__floor",
    "temperature_unit": "temperature__unit",
    "consistency": "consistency__weight",
    "perturbation": "consistency__perturbation",
    "balance": "consistency__balance",
    "invariant_steps": "consistency__steps",
    "semi_supervised": "semi_supervised__order",
    "pretrain_epochs": "semi_supervised__pretrain_epochs",
    "label_weight": "semi_supervised__label_weight",
    **{name: f"fit_options__{name}" for name in TRAINING},
    "warm_start": "start",
}


@dataclass(frozen=True, kw_only=True)
class MixturePlan(FlowMixtureOptions):
    """All settings of a fit, checked against each other.

    Attributes:
        n_components: K, "auto", or None for as many as there are classes.
        flow: recipe of the components, a list of K of them, or None for Gaussians.
        covariance_type: of the start.
        init_params: how starts are found.
        start: responsibilities or labels of all rows, a fitted estimator, "last", or None.
        columns: kinds of columns, "auto", or None for numbers.
        missing: what becomes of missing cells.
        given: the keys that the user set of each group.
        n_stray: how much the rows count that were found to stand apart from all others, and are not
            trained on.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    n_components: int | str | None
    flow: Spec | Sequence[Spec | None] | None = "realnvp"
    covariance_type: str = "auto"
    init_params: str = "auto"
    start: object = None
    columns: object = None
    missing: str = "refuse"
    given: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    n_stray: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_components(self.n_components)
        check_choice(self, "init_params", INIT_PARAMS)
        check_choice(self, "covariance_type", ("auto", *COVARIANCE_TYPES))
        check_choice(self, "missing", ("refuse", "marginal"))
        if self.columns is not None or self.missing != "refuse":
            self._check_table()
        if self.is_auto:
            self._check_auto()

    @classmethod
    def of(cls, estimator: GroupedSettings) -> Self:
        """The plan of an estimator; settings that it does not have are at their defaults."""
        params = estimator.get_params(deep=False)
        kind, old = type(estimator), type(estimator).old_names
        given = {name: within(kind, name, params.get(name)) for name in GROUPS}
        settings: dict[str, object] = {
            name: params[name] for name in cls.__dataclass_fields__ if name in params
        }
        for name, group in GROUPS.items():
            if group is not dict and name in params:
                head, _, first = old.get(name, "").partition("__")
                alone = first if head == name else None
                settings[name] = read_group(name, params[name], group, old=alone)
        settings["optimisation"] = Optimisation.of(
            estimator, automatic_rate=True, within=TRAINING, identity=loop_identity(estimator)
        )
        settings |= {"snapshots": given["fit_options"].get("snapshots", 0), "given": given}
        return cls(**settings)  # pyright: ignore[reportArgumentType] - which is what it checks

    # -- what follows from the settings ----------------------------------------------------------

    @property
    def is_auto(self) -> bool:
        """Whether the number of components is to be found."""
        return isinstance(self.n_components, str)

    @property
    def wanted(self) -> int | None:
        """K to begin with; None for as many as there are classes."""
        if isinstance(self.n_components, str):
            return int(self.model_options.max_components)
        return None if self.n_components is None else int(self.n_components)

    def start_options(self, n_components: int) -> StartOptions:
        """How starts are searched."""
        return StartOptions(n_components, self.covariance_type, self.model_options.reg_covar)

    @property
    def contamination(self) -> float:
        """The share of the broad density at first; 0 where there is none."""
        how = self.model_options.contamination
        if self.model_options.levels is not None or (how == "auto" and not self.n_stray):
            return 0.0
        return INITIAL_SHARE if isinstance(how, str) else float(how)

    def recipe(self, n_features: int, n_components: int) -> dict[str, object]:
        """The arguments of `anabranch.models.flow_mixture`."""
        broad = {"contamination": self.contamination} if self.contamination else {}
        return {
            **broad,
            "features": n_features,
            "n_components": int(n_components),
            "flow": self.flow,
            "trunk": self.model_options.trunk,
            "diagonal": n_features > 128,
            "learn_weights": isinstance(self.model_options.weights, str)
            and self.model_options.weights == "learned",
            "posterior": self.model_options.posterior,
            "hedge": self.model_options.hedge,
        }

    # -- what does not go together ---------------------------------------------------------------

    def check_weights(self, n_components: int) -> None:
        """Refuse weights of another number of components."""
        weights = self.model_options.weights
        if isinstance(weights, str):
            return
        numbers = np.asarray(weights, dtype=np.float64)
        if numbers.shape != (n_components,) or not (numbers > 0).all() & np.isfinite(numbers).all():
            raise ValueError(f"weights must be {n_components} positive numbers, got {weights}")

    def check_given_start(self) -> None:
        """Refuse and warn of what does not go with a start that is given."""
        if self.inference == "invariant" or self.is_auto:
            name = "n_components='auto'" if self.is_auto else "inference='invariant'"
            raise ValueError(f"{name} finds a start of its own: leave start at None or 'last'")
        for name, usual in (("init_params", "auto"), ("n_init", 1)):
            if getattr(self, name) != usual:
                warn_unused(name, "start is given")

    def warn_unused(self, *, labelled: bool) -> None:
        """Say what was given and does nothing in this fit."""
        for name, used, reason in self._conditions(labelled=labelled):
            group, _, key = name.partition(".")
            given = self.given.get(group, {})
            if not used and (key in given if key else given):
                warn_unused(name, reason)
        recipe = self.flow.get("name") if isinstance(self.flow, Mapping) else self.flow
        if recipe in BY_ROWS:
            steps = self.optimisation
            for name, usual in (("learning_rate", "auto"), ("batch_size", 512)):
                if getattr(steps, name) != usual:
                    warn_unused(name, f"flow={self.flow!r} is fitted by EM to all rows")

    def _conditions(self, *, labelled: bool) -> list[tuple[str, bool, str]]:
        """Settings, whether they are used, and why not."""
        inference = f"inference is {self.inference!r}"
        auto = "n_components is a number"
        return [
            ("temperature", self.inference == "variational", inference),
            ("consistency.perturbation", self.weight > 0, "consistency.weight is 0"),
            ("consistency.steps", self.inference == "invariant", inference),
            ("semi_supervised", labelled, "there are no labels"),
            ("model_options.max_components", self.is_auto, auto),
            ("model_options.component_cost", self.is_auto, auto),
            ("model_options.local_dependence", self.columns is not None, "columns is None"),
            (
                "model_options.contamination",
                self.model_options.levels is None,
                "model_options.levels is given",
            ),
            (
                "model_options.logit_alpha",
                self.model_options.levels is not None,
                "model_options.levels is None",
            ),
        ]

    def check_weighted(self) -> None:
        """Refuse ways to fit that take no weights of rows.

        Raises:
            ValueError: naming the setting.
        """
        if self.is_auto:
            raise ValueError("n_components='auto' takes no sample_weight: it counts rows")
        if self.weight or self.inference == "invariant":
            raise ValueError("consistency takes no sample_weight: it is of all rows alike")

    def _check_table(self) -> None:
        """Refuse what a table of mixed columns has not."""
        if self.model_options.levels is not None:
            raise ValueError(
                "model_options.levels is for integers alone: columns and missing do not go with it"
            )
        if self.is_auto:
            raise ValueError("columns and missing need a number of components, not 'auto'")
        if self.weight:
            raise ValueError("columns and missing do not go with consistency")

    def _check_auto(self) -> None:
        most, cost = self.model_options.max_components, self.model_options.component_cost
        if cost * most >= 1:
            raise ValueError(
                f"component_cost must be below 1 / max_components = {1 / most:.3g}, else no "
                f"component could live; got {cost}"
            )
        if isinstance(self.flow, list | tuple):
            raise ValueError("n_components='auto' needs one flow for all components, not a list")
        if not isinstance(self.model_options.weights, str):
            raise ValueError("n_components='auto' sets the weights: leave weights at 'learned'")
