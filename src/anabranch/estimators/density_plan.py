"""What a fit of one flow shall do: its settings, checked once."""

from dataclasses import dataclass
from typing import ClassVar, Self

from anabranch.estimators.groups import GroupedSettings
from anabranch.estimators.identity import loop_identity
from anabranch.functional.numbers import check_flag, check_positive, check_whole
from anabranch.procedures.mixture_options import Spec
from anabranch.procedures.optimisation import HEDGED_FLOWS, OF_FLOWS, Optimisation

# Columns up to which the start has a full covariance.
MAX_FULL = 128


@dataclass(frozen=True, kw_only=True)
class FlowPlan:
    """The settings of a fit of one flow, whichever.

    Attributes:
        optimisation: how the loop runs.
        n_init: flows to compare.
        start: a fitted estimator of the same kind to go on from, "last", or None.
        reg_covar: smallest variance of the start.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    training: ClassVar = OF_FLOWS
    old_names: ClassVar = {name: f"fit_options__{name}" for name in OF_FLOWS}

    optimisation: Optimisation
    n_init: int = 1
    start: object = None
    reg_covar: float = 1e-6

    def __post_init__(self) -> None:
        check_whole(self, ("n_init",), 1)
        check_positive(self, ("reg_covar",))

    @classmethod
    def of(cls, estimator: GroupedSettings) -> Self:
        """The plan of an estimator."""
        params = estimator.get_params(deep=False)
        own = {name: params[name] for name in cls.__dataclass_fields__ if name in params}
        optimisation = Optimisation.of(
            estimator,
            automatic_rate=True,
            within=cls.training,
            identity=loop_identity(estimator),
        )
        return cls(**own, optimisation=optimisation)  # pyright: ignore - which is what it checks


@dataclass(frozen=True, kw_only=True)
class DensityPlan(FlowPlan):
    """The settings of a `FlowDensity`.

    Attributes:
        flow: recipe of the flow, or None for the Gaussian alone.
        levels: of integer data, or None.
        logit_alpha: margin of the logit for integer data.
        hedge: whether the flow is hedged with the Gaussian.
    """

    training: ClassVar = HEDGED_FLOWS

    flow: Spec | None = "nsf"
    levels: int | None = None
    logit_alpha: float = 1e-6
    hedge: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self, ("hedge",))
        check_positive(self, ("logit_alpha",))
        check_whole(self, ("levels",), 2, optional=True)

    def recipe(self, n_features: int, n_context: int) -> dict[str, object]:
        """The arguments of `anabranch.models.flow_density`."""
        return {
            "features": n_features,
            "flow": self.flow,
            "diagonal": n_features > MAX_FULL,
            "context_features": n_context,
            "hedge": self.hedge,
        }
