"""One picture of a fitted mixture, for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anabranch.reports.columns import drawn
from anabranch.reports.evaluation import evaluate
from anabranch.reports.protocol import FittedMixture, has_clusters, unnamed_columns
from anabranch.reports.report import model_grid, require_extra
from anabranch.reports.request import Wanted, check_request
from anabranch.reports.sections import (
    clusters_section,
    density_section,
    posterior_section,
    sizes_section,
    training_section,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

KINDS = ("clusters", "density", "columns", "sizes", "responsibilities", "training")
SAMPLES = 2000


def plot(
    est: FittedMixture,
    X: Any = None,
    *,
    kind: str = "clusters",
    max_points: int = 5000,
    projection: str = "pca",
    random_state: Any = 0,
) -> go.Figure:
    """Draw a fitted mixture: a figure of its report, as plotly shows it in a notebook.

    Args:
        est: Fitted mixture.
        X: Data, shape (n, D) with n >= 2; None for samples of the mixture.
        kind: "clusters" of data and samples, over the regions of the posterior in two columns;
            "density"; "columns", histograms by component of those that tell clusters apart;
            "sizes"; "responsibilities", how certain components are of rows; or "training".
        max_points: Most rows that are drawn.
        projection: `"pca"` or `"tsne"` when D > 2.
        random_state: Seed of the choice of rows and of the samples.

    Returns:
        The figure.

    Raises:
        ImportError: When the extra `report` is not installed.
        ValueError: When an argument has a wrong value, or the mixture has no such picture.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from anabranch import GaussianMixture
        >>> X = load_iris().data
        >>> figure = plot(GaussianMixture(3, random_state=0).fit(X), X, kind="columns")
        >>> len(figure.data)  # a histogram of each of four columns for each component
        12
    """
    from sklearn.utils import check_random_state

    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}; expected one of {KINDS}.")
    if not has_clusters(est):
        raise ValueError("est: got a model without clusters; build_report shows its density.")
    require_extra(projection)
    rng = check_random_state(random_state)
    X = est.sample(SAMPLES, random_state=rng.randint(2**31 - 1))[0] if X is None else X
    request = check_request(est, X, None, Wanted("", None, None, None, max_points, projection))
    with unnamed_columns():
        ev = evaluate(est, X, max_points=max_points, random_state=rng)
        if kind == "clusters":
            section = clusters_section(ev, request, model_grid(est, ev), rng)
        elif kind == "density":
            section = density_section(ev, request, model_grid(est, ev))
        elif kind == "columns":
            return drawn(ev, request)
        elif kind == "sizes":
            section = sizes_section(est, ev)
        elif kind == "responsibilities":
            section = posterior_section(ev)
        else:
            section = training_section(est)
    if not section.figures:
        raise ValueError(f"kind: the model has nothing to draw of its {kind}.")
    return section.figures[0]
