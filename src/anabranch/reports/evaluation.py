"""Everything a report shows of a mixture, computed once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anabranch.reports.protocol import FittedDensity, FittedMixture, unnamed_columns
from anabranch.reports.view import View


@dataclass(frozen=True)
class Evaluation:
    """A mixture's answers for all rows, and samples of it.

    Attributes:
        X: Data as numbers, shape (n, D): codes for categories, NaN where a cell is missing.
        predicted: Component of each row as `predict` gives it, shape (n,).
        log_posterior: Log of the exact p(c|x), shape (n, K).
        log_network: Log of q(c|x) of the posterior network, shape (n, K), or None where there is
            none.
        network_reason: Why there is no q; empty where there is one.
        log_density: log p(x) in nats, shape (n,).
        drawn: Rows that pictures show, shape (m,), ascending.
        samples: Finite samples of the model, shape (s, D).
        sample_components: Components of the samples, shape (s,).
        sample_log_density: log p of the samples in nats, shape (s,).
        n_infinite_samples: How many samples were not finite, and so left out.
        sample_log_posterior: Log of p(c|x) of the samples, shape (s, K).
        view: How the columns are shown.
        held_out: Rows that the fit did not train on, as far as it tells, shape (h,); None where it
            does not.
    """

    X: np.ndarray
    predicted: np.ndarray
    log_posterior: np.ndarray
    log_network: np.ndarray | None
    network_reason: str
    log_density: np.ndarray
    drawn: np.ndarray
    samples: np.ndarray
    sample_components: np.ndarray
    sample_log_density: np.ndarray
    n_infinite_samples: int
    sample_log_posterior: np.ndarray
    view: View = field(default_factory=View)
    held_out: np.ndarray | None = None

    @property
    def posterior(self) -> np.ndarray:
        """Exact p(c|x), shape (n, K)."""
        return np.exp(self.log_posterior)

    @property
    def sample_posterior(self) -> np.ndarray:
        """Exact p(c|x) of the samples, shape (s, K)."""
        return np.exp(self.sample_log_posterior)

    @property
    def network(self) -> np.ndarray | None:
        """q(c|x), shape (n, K), or None."""
        return None if self.log_network is None else np.exp(self.log_network)


def evaluate(
    est: FittedMixture, X: Any, *, max_points: int, random_state: np.random.RandomState
) -> Evaluation:
    """Score all rows, choose those for pictures, and draw as many samples."""
    # First of all: it raises where X does not fit the mixture.
    predicted = np.asarray(est.predict(X))
    view = View.of(est)
    values = view.numbers(X)
    drawn = np.sort(random_state.permutation(len(values))[:max_points])
    network, reason = _network_posterior(est, X)
    samples, components = est.sample(len(drawn), random_state=seed(random_state))
    samples = view.numbers(samples)
    finite = np.isfinite(samples).all(axis=1)
    scores, log_posterior = _of_samples(est, view, samples[finite])
    return Evaluation(
        X=values,
        predicted=predicted,
        log_posterior=_log_proba(est, X, "exact"),
        log_network=network,
        network_reason=reason,
        log_density=np.asarray(est.score_samples(X), dtype=float),
        drawn=drawn,
        samples=samples[finite],
        sample_components=np.asarray(components)[finite],
        sample_log_density=scores,
        n_infinite_samples=int((~finite).sum()),
        sample_log_posterior=log_posterior,
        view=view,
        held_out=_held_out(est, X),
    )


def evaluate_density(
    est: FittedDensity,
    X: Any,
    context: np.ndarray | None,
    *,
    max_points: int,
    random_state: np.random.RandomState,
) -> Evaluation:
    """The same for a density without clusters, as if it were a mixture of one component.

    Where it has a context, samples are given that of the rows drawn, one each.
    """
    values = np.asarray(X, dtype=float)
    log_density = np.asarray(est.score_samples(X, **given(context)), dtype=float)
    drawn = np.sort(random_state.permutation(len(values))[:max_points])
    of_drawn = None if context is None else context[drawn]
    samples = est.sample(len(drawn), **given(of_drawn), random_state=seed(random_state))
    samples = np.asarray(samples, dtype=float)
    finite = np.isfinite(samples).all(axis=1)
    with unnamed_columns():
        of_finite = None if of_drawn is None else of_drawn[finite]
        scores = est.score_samples(samples[finite], **given(of_finite)) if finite.any() else []
    return Evaluation(
        X=values,
        predicted=np.zeros(len(values), dtype=np.int64),
        log_posterior=np.zeros((len(values), 1)),
        log_network=None,
        network_reason="",
        log_density=log_density,
        drawn=drawn,
        samples=samples[finite],
        sample_components=np.zeros(int(finite.sum()), dtype=np.int64),
        sample_log_density=np.asarray(scores, dtype=float),
        n_infinite_samples=int((~finite).sum()),
        sample_log_posterior=np.zeros((int(finite.sum()), 1)),
        held_out=_held_out(est, X),
    )


def given(context: np.ndarray | None) -> dict[str, Any]:
    """The context as a keyword argument, where there is one."""
    return {} if context is None else {"context": context}


def _network_posterior(est: FittedMixture, X: Any) -> tuple[np.ndarray | None, str]:
    """Give log q(c|x), or None with the reason where the mixture was fitted without a network."""
    try:
        return _log_proba(est, X, "network"), ""
    except (ValueError, AttributeError, NotImplementedError) as error:
        return None, str(error)


def _log_proba(est: FittedMixture, X: Any, method: str) -> np.ndarray:
    """Log-probabilities, by themselves where the mixture gives them."""
    logs: Any = getattr(est, "predict_log_proba", None)
    if logs is not None:
        return np.asarray(logs(X, method=method), dtype=float)
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(est.predict_proba(X, method=method), dtype=float))


def _of_samples(
    est: FittedMixture, view: View, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log-densities of samples, and the logs of their posterior."""
    if len(samples) == 0:
        return np.empty(0), np.empty((0, est.n_components_))
    rows = view.rows(samples)
    with unnamed_columns():
        scores = np.asarray(est.score_samples(rows), dtype=float)
        return scores, _log_proba(est, rows, "exact")


def _held_out(est: Any, X: Any) -> np.ndarray | None:
    """The rows that the fit held out, where it can tell."""
    tell: Any = getattr(est, "held_out_rows", None)
    return None if tell is None else tell(X)


def seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for one more random function."""
    return int(random_state.randint(2**31 - 1))
