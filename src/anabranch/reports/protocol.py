"""What a report needs of a fitted mixture."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np


class FittedMixture(Protocol):
    """A fitted mixture with the methods of `sklearn.mixture`.

    `predict_proba` takes `method="exact"` for Bayes' p(c|x) and `method="network"` for the
    posterior network q(c|x); `sample` takes `component=` to draw from one component alone.
    `feature_names_in_`, `history_` and `get_params` are used where they exist.
    """

    n_components_: int
    n_features_in_: int
    weights_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Give the component of each row, (n,)."""
        ...

    def predict_proba(self, X: Any, *, method: str = ...) -> np.ndarray:
        """Give the probability of each component for each row, (n, K)."""
        ...

    def score_samples(self, X: Any) -> np.ndarray:
        """Give the log-density of each row in nats, (n,)."""
        ...

    def sample(
        self, n_samples: int = ..., *, component: int | None = ..., random_state: Any = ...
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows and the components that they came from."""
        ...


class FittedDensity(Protocol):
    """A fitted density without clusters; both methods take ``context=`` where it has one."""

    n_features_in_: int

    def score_samples(self, X: Any, context: Any = ...) -> np.ndarray:
        """Give the log-density of each row in nats, (n,)."""
        ...

    def sample(
        self, n_samples: int = ..., *, context: Any = ..., random_state: Any = ...
    ) -> np.ndarray:
        """Draw rows."""
        ...


def has_clusters(est: Any) -> bool:
    """Whether a fitted estimator is a mixture."""
    return hasattr(est, "predict_proba")


@contextmanager
def unnamed_columns() -> Iterator[None]:
    """Let a mixture that was fitted to a frame judge arrays, such as a grid, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield
