"""The section that sets k-means and a mixture of Gaussians beside the mixture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.estimators import GaussianMixture
from anabranch.metrics import adjusted_rand, clustering_accuracy
from anabranch.reports.evaluation import Evaluation, seed
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows that rivals are fitted to, and that silhouettes are of, at most.
MOST_FITTED, MOST_JUDGED = 20_000, 2_000
HELD_OUT, STARTS = 0.15, 5


@dataclass(frozen=True)
class Answer:
    """What a method says of the rows that judge.

    Attributes:
        name: The method.
        clusters: Of each row, (h,).
        log_density: Of each row in nats, (h,); None where it has none.
    """

    name: str
    clusters: NDArray[np.int64]
    log_density: np.ndarray | None


def rivals_section(
    est: Any, ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Compare with k-means and GaussianMixture of as many components, on the same rows."""
    judged, train = _split(ev, random_state)
    own = Answer("this mixture", ev.predicted[judged], ev.log_density[judged])
    spread = ev.view.spread(ev.X)
    scale = spread[train].std(0)
    spread = (spread - spread[train].mean(0)) / np.where(scale > 0, scale, 1.0)
    answers = [own, *_answers(est, ev, spread, (train, judged), random_state)]
    labels = None if request.labels is None else request.labels[judged]
    rows = [
        (
            answer.name,
            *_score(answer, own),
            f"{adjusted_rand(own.clusters, answer.clusters):.3f}",
            _silhouette(spread[judged], answer.clusters),
            *([] if labels is None else [_accuracy(labels, answer.clusters)]),
        )
        for answer in answers
    ]
    header = ("method", "log-density, nats", "against this mixture", "agrees (ARI)", "silhouette")
    header = header if labels is None else (*header, "agrees with labels (ACC)")
    texts = [
        f"{_which(ev, len(judged))} k-means and the mixture of Gaussians have as many components, "
        f"and were fitted to the other rows{_most(len(train))}. Differences of log-densities come "
        "with their standard errors. The silhouette is of distances in standardised columns, "
        "which favours round clusters, as k-means makes them."
    ]
    title = "Beside k-means and Gaussians"
    return Section("rivals", title, texts, tables=[Table("", header, rows)])


def _which(ev: Evaluation, n_judged: int) -> str:
    if ev.held_out is not None:
        return f"All figures are of the {n_judged:,} rows that the fit of this mixture held out."
    return (
        f"All figures are of {n_judged:,} rows, chosen at random, on which this mixture may have "
        "been trained: its own figures may flatter it."
    )


def _most(n_train: int) -> str:
    return f" ({MOST_FITTED:,} of them)" if n_train == MOST_FITTED else ""


def _split(ev: Evaluation, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Rows that judge, and rows to fit rivals to."""
    n = len(ev.X)
    judged = ev.held_out
    if judged is None:
        judged = np.sort(random_state.permutation(n)[: max(2, round(HELD_OUT * n))])
    train = np.setdiff1d(np.arange(n), judged)
    train = np.arange(n) if len(train) < 2 else train
    return judged, np.sort(random_state.permutation(train)[:MOST_FITTED])


def _answers(
    est: Any,
    ev: Evaluation,
    spread: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    random_state: np.random.RandomState,
) -> list[Answer]:
    from sklearn.cluster import KMeans

    train, judged = rows
    k = min(est.n_components_, len(train))
    means: Any = KMeans(k, random_state=seed(random_state))
    means.set_params(n_init=STARTS).fit(spread[train])
    answers = [Answer("k-means", np.asarray(means.predict(spread[judged]), np.int64), None)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            gaussians = GaussianMixture(
                k, n_init=STARTS, random_state=seed(random_state), **_table(ev)
            ).fit(ev.X[train])
            found = gaussians.predict(ev.X[judged])
            answers.append(Answer("GaussianMixture", found, gaussians.score_samples(ev.X[judged])))
        except ValueError:  # of columns that others determine, or too few rows: it has no density
            pass
    return answers


def _table(ev: Evaluation) -> dict[str, Any]:
    """The kinds of columns, so that densities and probabilities are told alike."""
    if ev.view.coding is None:
        return {}
    real = {"date": "real", "latitude": "real", "longitude": "real"}
    kinds: dict[int, object] = {}
    for j, column in enumerate((*ev.view.coding.reals, *ev.view.coding.codes)):
        kind = column.kind
        if kind.name == "interval":
            kinds[j] = ("interval", kind.lower, kind.upper)
        elif kind.name == "circle":
            kinds[j] = ("circle", kind.upper)
        else:
            kinds[j] = "category" if kind.is_code else real.get(kind.name, kind.name)
    return {"columns": kinds, "missing": "marginal"}


def _score(answer: Answer, own: Answer) -> tuple[str, str]:
    if answer.log_density is None or own.log_density is None:
        return "no density", "-"
    mean = f"{answer.log_density.mean():.3f}"
    if answer is own:
        return mean, "-"
    difference = answer.log_density - own.log_density
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return mean, f"{difference.mean():+.3f} ± {error:.3f}"


def _silhouette(spread: np.ndarray, clusters: np.ndarray) -> str:
    from sklearn.metrics import silhouette_score

    spread, clusters = spread[:MOST_JUDGED], clusters[:MOST_JUDGED]
    if not 1 < len(np.unique(clusters)) < len(spread):
        return "-"
    return f"{silhouette_score(spread, clusters):.3f}"


def _accuracy(labels: np.ndarray, clusters: np.ndarray) -> str:
    known = labels >= 0
    return f"{clustering_accuracy(labels[known], clusters[known]):.3f}" if known.any() else "-"
