"""The start of the thesis: components that are one and the same, and a random q(c|x)."""

from typing import Any

from numpy.typing import ArrayLike

from anabranch.estimators import FlowMixture
from anabranch.estimators.fitted import module_state
from anabranch.models import flow_mixture


def fit_from_equal_components(
    mixture: FlowMixture, X: ArrayLike, y: ArrayLike | None = None, *, epochs: int
) -> FlowMixture:
    """Train a mixture from components that are one and the same, and a random q.

    No start of the estimator is this one: from given responsibilities it makes Gaussians, and
    teaches them to q. The recipe alone starts at one Gaussian.

    Args:
        mixture: not fitted yet, with fixed weights.
        X: (n, D).
        y: labels, -1 where not known.
        epochs: of training.
    """
    mixture.set_params(max_epochs=0).fit(X, y)
    recipe: Any = mixture.model_.recipe
    fresh = flow_mixture(**recipe["arguments"])
    fresh.mixture.set_weights(mixture.model_.mixture.log_weights.exp())
    state = {**mixture.state(), "model": module_state(fresh)}
    start = FlowMixture.from_state(mixture.settings(), state)
    return mixture.set_params(max_epochs=epochs, start=start).fit(X, y)
