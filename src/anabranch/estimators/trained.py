"""What one run of the loop leaves to a density that it trained."""

from typing import Any

from torch import nn

from anabranch.estimators.density import DensityEstimator
from anabranch.training import FitResult


class TrainedDensity(DensityEstimator):
    """A density whose model is trained by one run of the loop."""

    model_: Any
    fit_result_: FitResult
    lower_bound_: float

    def _keep_run(self, model: nn.Module, result: FitResult) -> None:
        """Keep what a run of the loop came to."""
        self.model_, self.fit_result_, self.history_ = model.eval(), result, result.history
        self.lower_bound_ = -result.best_score
        self.converged_ = result.stopped == "patience"
        self.n_iter_ = int(result.history[-1]["epoch"])
