"""The posterior network q(c|x) against the exact posterior p(c|x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anabranch.reports.figures.density import step_outline
from anabranch.reports.figures.style import FIRST, SECOND, finish

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class PosteriorAgreement:
    """How near q(c|x) is to p(c|x), over the rows of the data.

    Attributes:
        mean_kl: Mean of KL(q || p) in nats, over the rows where it is finite.
        median_kl: Median of it over the same rows.
        n_infinite: Number of rows where q has mass and p has none, by their logarithms.
        same_argmax: Share of rows where both have the same most probable component.
        mean_confidence_q: Mean of max_c q(c|x).
        mean_confidence_p: Mean of max_c p(c|x).
    """

    mean_kl: float
    median_kl: float
    n_infinite: int
    same_argmax: float
    mean_confidence_q: float
    mean_confidence_p: float


def agreement(log_q: np.ndarray, log_p: np.ndarray) -> PosteriorAgreement:
    """Compare q(c|x) with p(c|x): KL(q || p) = sum_c q(c|x) (log q(c|x) - log p(c|x)).

    From logarithms, for a probability of exp(-800) is zero in double precision, and no reason for a
    divergence that is infinite.

    Args:
        log_q: Log q(c|x), shape (n, K).
        log_p: Log p(c|x), shape (n, K).

    Returns:
        The figures of the comparison.

    >>> q, p = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    >>> round(agreement(q, p).mean_kl, 4)  # (log 2 + log 2/3) / 2
    0.1438
    """
    q = np.exp(log_q)
    with np.errstate(invalid="ignore"):
        kl = np.where(q > 0, q * (log_q - log_p), 0.0).sum(axis=1)
    finite = np.isfinite(kl)
    return PosteriorAgreement(
        mean_kl=float(kl[finite].mean()) if finite.any() else np.nan,
        median_kl=float(np.median(kl[finite])) if finite.any() else np.nan,
        n_infinite=int((~finite).sum()),
        same_argmax=float((log_q.argmax(axis=1) == log_p.argmax(axis=1)).mean()),
        mean_confidence_q=float(q.max(axis=1).mean()),
        mean_confidence_p=float(np.exp(log_p).max(axis=1).mean()),
    )


def confidence_figure(
    network: np.ndarray | None, posterior: np.ndarray, *, bins: int = 25
) -> go.Figure:
    """Draw the distribution of the highest probability of each row.

    Args:
        network: q(c|x), shape (n, K), or None where there is no network.
        posterior: p(c|x), shape (n, K).
        bins: Number of bars.

    Returns:
        One outline for each posterior.
    """
    import plotly.graph_objects as go

    edges = np.linspace(0, 1, bins + 1)
    fig = go.Figure()
    parts = [("exact p(c|x)", posterior, FIRST), ("network q(c|x)", network, SECOND)]
    for name, probabilities, shade in parts:
        if probabilities is not None:
            # Rounding may carry a certain row a little above 1, out of the last bar.
            highest = np.minimum(probabilities.max(axis=1), 1.0)
            share = 100 * np.histogram(highest, edges)[0] / len(highest)
            trace = step_outline(edges, share, name, shade, dashed=probabilities is network)
            fig.add_trace(trace)
    fig.update_layout(showlegend=True)
    fig.update_xaxes(title="highest probability of a row", range=[0, 1.005], showgrid=False)
    fig.update_yaxes(title="share of rows, % per bar", rangemode="tozero")
    sure = (posterior.max(1) > 0.95).mean()
    caption = f"The highest p(c|x) exceeds 0.95 in {sure:.1%} of rows."
    return finish(fig, "How certain the clustering is", caption=caption, height=360)
