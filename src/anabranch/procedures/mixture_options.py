"""How a mixture of flows is fitted: the settings that its training reads, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anabranch.functional.numbers import (
    check_choice,
    check_flag,
    check_not_negative,
    check_positive,
    check_whole,
    real,
)
from anabranch.objectives import Perturbation, make_perturbation
from anabranch.objectives.mixture_objective import INFERENCES
from anabranch.procedures.optimisation import Optimisation, flow_options
from anabranch.training import FitOptions

Spec = str | Mapping[str, object]
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
        levels: for integer data 0..levels-1, such as 256 for bytes, which are dequantized: scores
            are lower bounds of log-probabilities; None for real numbers.
        logit_alpha: margin of the logit for integer data.
        hedge: whether each flow is hedged with the Gaussian it starts from, so that no row falls
            far below that, see `anabranch.distributions.Hedged`.
        local_dependence: of a table with categories, whether these may move the means of real
            columns, by as much in all components, where rows held out gain by it
            (`anabranch.procedures.category_shift.CategoryShift`); the start then takes several
            times as long.
        contamination: share of a broad density for rows that belong to no component: a given one
            below .5, "learned", or "auto" to learn it where rows stand apart from all others
            (`anabranch.procedures.stray_rows.Fence`); 0 for none.
    """

    posterior: Spec = "mlp"
    trunk: Spec | None = None
    weights: Literal["learned", "uniform", "exact", "network"] | ArrayLike = "learned"
    algorithm: Literal["gradient", "em"] = "gradient"
    max_components: int = 10
    component_cost: float = 0.0075
    reg_covar: float = 1e-6
    levels: int | None = None
    logit_alpha: float = 1e-6
    hedge: bool = True
    local_dependence: bool = False
    contamination: float | Literal["auto", "learned"] = "auto"

    def __post_init__(self) -> None:
        check_flag(self, ("hedge", "local_dependence"))
        if isinstance(self.contamination, str):
            check_choice(self, "contamination", ("auto", "learned"))
        elif not 0 <= real(self.contamination) < 0.5:
            raise ValueError(
                "contamination must be a share in [0, 0.5), 'auto' or 'learned', got "
                f"{self.contamination!r}"
            )
        check_choice(self, "algorithm", ("gradient", "em"))
        check_whole(self, ("max_components",), 1)
        check_whole(self, ("levels",), 2, optional=True)
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


@dataclass(frozen=True, kw_only=True)
class FlowMixtureOptions:
    """What the training of a mixture of flows reads.

    Attributes:
        optimisation: how the loop runs.
        inference: "exact", "variational" or "invariant".
        n_init: how many draws of starts, or of an invariant q.
        model_options: rare settings of the model.
        temperature: of q.
        consistency: of q.
        semi_supervised: what labels do.
        snapshots: states to keep over the training.
    """

    optimisation: Optimisation
    inference: str = "exact"
    n_init: int = 1
    model_options: ModelOptions = field(default_factory=ModelOptions)
    temperature: Temperature = field(default_factory=Temperature)
    consistency: Consistency = field(default_factory=Consistency)
    semi_supervised: SemiSupervised = field(default_factory=SemiSupervised)
    snapshots: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "inference", INFERENCES)
        check_whole(self, ("n_init",), 1)
        check_whole(self, ("snapshots",), 0)
        if self.model_options.algorithm == "em" and self.inference != "exact":
            raise ValueError("algorithm='em' needs inference='exact'")
        if self.inference == "invariant" and not (self.weight and self.balance):
            raise ValueError("inference='invariant' needs consistency and balance, which train q")
        if self.balance and not self.weight:
            raise ValueError(
                "balance goes with consistency: alone it would make q certain of anything"
            )

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

    def given_weights(self, n_components: int) -> NDArray[np.float64] | None:
        """The weights that the user gave, or that are uniform."""
        weights = self.model_options.weights
        if isinstance(weights, str):
            return np.full(n_components, 1 / n_components) if weights == "uniform" else None
        return np.asarray(weights, dtype=np.float64)

    @property
    def given_contamination(self) -> float | None:
        """The share of the broad density that the user gave; None where it is learned."""
        share = self.model_options.contamination
        return None if isinstance(share, str) else float(share)

    def perturbation(self, n_features: int) -> Perturbation | None:
        """Of what q sees, where it is asked for consistency."""
        if not self.weight:
            return None
        return make_perturbation(self.consistency.perturbation or "noise", features=n_features)

    def options(self, n_rows: int) -> FitOptions:
        """The settings of the loop."""
        return flow_options(self.optimisation, n_rows, self.monitor)
