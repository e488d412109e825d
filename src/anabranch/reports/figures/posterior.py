"""The posterior network q(c|x) against the exact posterior p(c|x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import rel_entr

from anabranch.reports.figures.density import step_outline
from anabranch.reports.figures.style import FIRST, SECOND, finish

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class PosteriorAgreement:
    """How near q(c|x) is to p(c|x), over the rows of the data.

    Attributes:
        mean_kl: Mean of KL(q || p) in nats; infinite when q has mass where p is zero.
        median_kl: Median of KL(q || p) in nats.
        n_infinite: Number of rows where KL(q || p) is infinite.
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


def agreement(network: np.ndarray, posterior: np.ndarray) -> PosteriorAgreement:
    """Compare q(c|x) with p(c|x): KL(q || p) = sum_c q(c|x) log(q(c|x) / p(c|x)).

    Args:
        network: q(c|x), shape (n, K).
        posterior: p(c|x), shape (n, K).

    Returns:
        The figures of the comparison.

    >>> q, p = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    >>> round(agreement(q, p).mean_kl, 4)  # (log 2 + log 2/3) / 2
    0.1438
    """
    kl = rel_entr(network, posterior).sum(axis=1)
    return PosteriorAgreement(
        mean_kl=float(kl.mean()),
        median_kl=float(np.median(kl)),
        n_infinite=int(np.isinf(kl).sum()),
        same_argmax=float((network.argmax(axis=1) == posterior.argmax(axis=1)).mean()),
        mean_confidence_q=float(network.max(axis=1).mean()),
        mean_confidence_p=float(posterior.max(axis=1).mean()),
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
    return finish(fig, "How certain the clustering is", height=360)
