"""What a fit of one flow shall do: its settings, checked once."""

from dataclasses import dataclass
from typing import Self

from anabranch.contracts.numbers import check_flag, check_positive, check_whole
from anabranch.procedures.mixture_options import Spec
from anabranch.procedures.optimisation import Optimisation, Settings, flow_options
from anabranch.training import FitOptions

# Columns up to which the start has a full covariance.
MAX_FULL = 128


@dataclass(frozen=True)
class DensityPlan:
    """The settings of a fit of one flow.

    Attributes:
        optimisation: how the loop runs.
        flow: recipe of the flow, or None for the Gaussian alone.
        n_init: flows to compare.
        reg_covar: smallest variance of the start.
        levels: of integer data, or None.
        logit_alpha: margin of the logit for integer data.
        hedge: whether the flow is hedged with the Gaussian.

    Raises:
        ValueError: naming the setting, what was given and what was expected.
    """

    optimisation: Optimisation
    flow: Spec | None = "nsf"
    n_init: int = 1
    reg_covar: float = 1e-6
    levels: int | None = None
    logit_alpha: float = 1e-6
    hedge: bool = True

    def __post_init__(self) -> None:
        check_flag(self, ("hedge",))
        check_whole(self, ("n_init",), 1)
        check_positive(self, ("reg_covar", "logit_alpha"))
        check_whole(self, ("levels",), 2, optional=True)

    @classmethod
    def of(cls, estimator: Settings) -> Self:
        """The plan of an estimator."""
        params = estimator.get_params(deep=False)
        own = {name: params[name] for name in cls.__dataclass_fields__ if name in params}
        optimisation = Optimisation.of(estimator, automatic_rate=True)
        return cls(**own, optimisation=optimisation)  # pyright: ignore - which is what it checks

    def options(self, n_rows: int) -> FitOptions:
        """The settings of the loop."""
        return flow_options(self.optimisation, n_rows)

    def recipe(self, n_features: int, n_context: int) -> dict[str, object]:
        """The arguments of `anabranch.models.flow_density`."""
        return {
            "features": n_features,
            "flow": self.flow,
            "diagonal": n_features > MAX_FULL,
            "context_features": n_context,
            "hedge": self.hedge,
        }
