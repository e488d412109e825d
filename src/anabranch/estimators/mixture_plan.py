"""What a fit of a mixture of flows shall do: its settings, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.gaussians.starts import COVARIANCE_TYPES
from anabranch.estimators.flow_training import flow_options
from anabranch.estimators.groups import GroupedSettings, read_group, within
from anabranch.estimators.numbers import (
    check_choice,
    check_components,
    check_flag,
    check_not_negative,
    check_positive,
    check_whole,
    real,
)
from anabranch.estimators.optimisation import Optimisation
from anabranch.estimators.starts import INIT_PARAMS
from anabranch.estimators.unused import warn_unused
from anabranch.objectives import Perturbation, make_perturbation
from anabranch.objectives.mixture_objective import INFERENCES
from anabranch.training import FitOptions

Spec = str | Mapping[str, object]
# what `fit_options` holds beside the settings of the loop, and its default
TRAINING = {
    "patience": 20,
    "validation_fraction": 0.15,
    "weight_decay": 0.0,
    "snapshots": 0,
}
# how mixture weights come about, beside given numbers
WEIGHTS = ("learned", "uniform", "exact", "network")
# of an invariant q, the weights of consistency and of balance
INVARIANT = (1.0, 0.2)


@dataclass(frozen=True)
class ModelOptions:
    """Rare settings of the model.

    Attributes:
        posterior: network of q(c|x), "mlp", "conv", or {"name": ..., keyword: value}.
        trunk: recipe of a flow between the data and all components, which share it (fewer
            parameters); None for none.
        weights: "learned" by gradients; set before every epoch to the mean over all rows of
            p(c|x), "exact", or of q(c|x), "network"; "uniform", or K given positive numbers that
            stay fixed.
        algorithm: with exact inference, "gradient", or "em" for expectation steps over all rows
            each epoch with gradient maximisation steps between.
        max_components: where n_components="auto" begins.
        component_cost: of "auto", the share of the rows that a component must own to live.
        reg_covar: smallest variance of the start, in units of the standardised columns, and the
            variance given to constant columns.
        logit_alpha: margin of the logit for integer data.
        hedge: whether each flow is hedged with the Gaussian it starts from, so that no row falls
            far below that, see `anabranch.distributions.Hedged`.
    """

    posterior: Spec = "mlp"
    trunk: Spec | None = None
    weights: Literal["learned", "uniform", "exact", "network"] | ArrayLike = "learned"
    algorithm: Literal["gradient", "em"] = "gradient"
    max_components: int = 10
    component_cost: float = 0.0075
    reg_covar: float = 1e-6
    logit_alpha: float = 1e-6
    hedge: bool = True

    def __post_init__(self) -> None:
        check_flag(self, ("hedge",))
        check_choice(self, "algorithm", ("gradient", "em"))
        check_whole(self, ("max_components",), 1)
        check_not_negative(self, ("component_cost",))
        check_positive(self, ("reg_covar", "logit_alpha"))
        if isinstance(self.weights, str):
            check_choice(self, "weights", WEIGHTS)
        if self.algorithm == "em" and self.weights == "network":
            raise ValueError(
                "algorithm='em' takes its weights from p(c|x): weights must not be 'network'"
            )


@dataclass(frozen=True)
class Temperature:
    """How the temperature of q falls in variational inference.

    Attributes:
        decay: rate.
        floor: where it stops.
        unit: what the rate counts, "step" or "epoch".
    """

    decay: float = 1e-3
    floor: float = 1e-2
    unit: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        check_not_negative(self, ("decay",))
        if not 0 < real(self.floor) <= 1:
            raise ValueError(f"floor must be in (0, 1], got {self.floor!r}")
        check_choice(self, "unit", ("step", "epoch"))


@dataclass(frozen=True)
class Consistency:
    """That q(c|x) answers alike for a row and for its perturbation.

    Attributes:
        weight: of the divergence between the answers, in nats; None for 1 in invariant inference,
            else 0.
        perturbation: "noise", "affine" (images), "adversarial", or {"name": ..., keyword: value},
            see `anabranch.objectives.perturbations`; None for small noise.
        balance: weight of H(q(c|x)) - 4 H(mean q), certain answers that use all components; None
            for 0.2 in invariant inference, else 0.
        steps: in invariant inference, of training q by itself, ``n_init`` times.
    """

    weight: float | None = None
    perturbation: Spec | None = None
    balance: float | None = None
    steps: int = 2000

    def __post_init__(self) -> None:
        check_not_negative(self, ("weight", "balance"), optional=True)
        check_whole(self, ("steps",), 1)


@dataclass(frozen=True)
class SemiSupervised:
    """How rows with labels teach beside rows without.

    Attributes:
        order: "joint" for both kinds in each step, "alternate" for an epoch of each kind in turn.
        pretrain_epochs: epochs on labelled rows alone before the others.
        label_weight: what a labelled row counts, beside an unlabelled one.
    """

    order: Literal["joint", "alternate"] = "joint"
    pretrain_epochs: int = 0
    label_weight: float = 1.0

    def __post_init__(self) -> None:
        check_choice(self, "order", ("joint", "alternate"))
        check_whole(self, ("pretrain_epochs",), 0)
        check_positive(self, ("label_weight",))


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
        if name != "hedge"
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


@dataclass(frozen=True)
class MixturePlan:
    """The settings of a fit, checked against each other.

    Attributes:
        n_components: K, "auto", or None for as many as there are classes.
        flow: recipe of the components, a list of K of them, or None for Gaussians.
        inference: "exact", "variational" or "invariant".
        covariance_type: of the start.
        init_params: how starts are found.
        n_init: how many draws of them.
        start: responsibilities or labels of all rows, a fitted estimator, "last", or None.
        levels: of integer data, or None.
        model_options: rare settings of the model.
        temperature: of q.
        consistency: of q.
        semi_supervised: what labels do.
        snapshots: states to keep over the training.
        optimisation: how the loop runs.
        given: the keys that the user set of each group.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    n_components: int | str | None
    optimisation: Optimisation
    flow: Spec | Sequence[Spec | None] | None = "realnvp"
    inference: str = "exact"
    covariance_type: str = "auto"
    init_params: str = "auto"
    n_init: int = 1
    start: object = None
    levels: int | None = None
    model_options: ModelOptions = field(default_factory=ModelOptions)
    temperature: Temperature = field(default_factory=Temperature)
    consistency: Consistency = field(default_factory=Consistency)
    semi_supervised: SemiSupervised = field(default_factory=SemiSupervised)
    snapshots: int = 0
    given: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_components(self.n_components)
        check_choice(self, "inference", INFERENCES)
        check_choice(self, "init_params", INIT_PARAMS)
        check_choice(self, "covariance_type", ("auto", *COVARIANCE_TYPES))
        check_whole(self, ("n_init",), 1)
        check_whole(self, ("snapshots",), 0)
        check_whole(self, ("levels",), 2, optional=True)
        if self.model_options.algorithm == "em" and self.inference != "exact":
            raise ValueError("algorithm='em' needs inference='exact'")
        if self.inference == "invariant" and not (self.weight and self.balance):
            raise ValueError("inference='invariant' needs consistency and balance, which train q")
        if self.balance and not self.weight:
            raise ValueError(
                "balance goes with consistency: alone it would make q certain of anything"
            )
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
        settings["optimisation"] = Optimisation.of(estimator, automatic_rate=True, within=TRAINING)
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

    @property
    def weight(self) -> float:
        """Of the consistency of q."""
        weight = self.consistency.weight
        return (
            (INVARIANT[0] if self.inference == "invariant" else 0.0) if weight is None else weight
        )

    @property
    def balance(self) -> float:
        """Of the balance of q."""
        balance = self.consistency.balance
        usual = INVARIANT[1] if self.inference == "invariant" else 0.0
        return usual if balance is None else balance

    @property
    def monitor(self) -> str:
        """The validation term by which the best state is chosen."""
        return "negative_elbo" if self.inference == "variational" else "nll"

    def perturbation(self, n_features: int) -> Perturbation | None:
        """Of what q sees, where it is asked for consistency."""
        if not self.weight:
            return None
        return make_perturbation(self.consistency.perturbation or "noise", features=n_features)

    def options(self, n_rows: int) -> FitOptions:
        """The settings of the loop."""
        return flow_options(self.optimisation, n_rows, self.monitor)

    def start_options(self, n_components: int) -> StartOptions:
        """How starts are searched."""
        return StartOptions(n_components, self.covariance_type, self.model_options.reg_covar)

    def given_weights(self, n_components: int) -> NDArray[np.float64] | None:
        """The weights that the user gave, or that are uniform."""
        weights = self.model_options.weights
        if isinstance(weights, str):
            return np.full(n_components, 1 / n_components) if weights == "uniform" else None
        return np.asarray(weights, dtype=np.float64)

    def recipe(self, n_features: int, n_components: int) -> dict[str, object]:
        """The arguments of `anabranch.models.flow_mixture`."""
        return {
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

    def check_rows(self, n_rows: int, n_components: int) -> None:
        """Refuse too few rows, and weights of another number of components."""
        if n_rows < n_components:
            raise ValueError(
                f"X has {n_rows} rows, fewer than the {n_components} components: n_samples must "
                "be at least n_components"
            )
        weights = self.model_options.weights
        if isinstance(weights, str):
            return
        numbers = np.asarray(weights, dtype=np.float64)
        if numbers.shape != (n_components,) or not (numbers > 0).all():
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
            ("model_options.logit_alpha", self.levels is not None, "levels is None"),
        ]

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
