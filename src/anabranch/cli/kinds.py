"""The estimators that `anabranch fit` knows: one line each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.estimators.estimator import Estimator


@dataclass(frozen=True)
class Kind:
    """What ``--model`` can name.

    Attributes:
        estimator: name of the class in `anabranch.estimators`.
        phrase: what is fitted, in sentences.
    """

    estimator: str
    phrase: str

    def load(self) -> "type[Estimator]":
        """The class, whose import takes seconds, which ``--help`` should not."""
        from anabranch import estimators

        return getattr(estimators, self.estimator)


KINDS = {
    "mixture": Kind("FlowMixture", "a mixture"),
    "density": Kind("FlowDensity", "a density"),
    "posterior": Kind("NeuralPosterior", "a posterior"),
    "deep-mixture": Kind("DeepMixture", "a deep mixture"),
    "flow-vae": Kind("FlowVAE", "a variational autoencoder"),
    "coder": Kind("Coder", "a lossless coder"),
    "deep-clustering": Kind("DeepClustering", "deep clustering"),
}
