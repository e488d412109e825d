"""The sections about the codes of a variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from anabranch.reports.evaluation import Evaluation, seed
from anabranch.reports.figures import codes_figure, image_strip, usage_figure
from anabranch.reports.projection import Projected
from anabranch.reports.protocol import unnamed_columns
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Strip, StripRow, Table
from anabranch.reports.sections import SAMPLE_IMAGES

# Columns of which a table says how well they are told.
MOST_COLUMNS = 30


def has_codes(est: Any) -> bool:
    """Whether a fitted estimator has codes, and can tell how much of them is used."""
    return hasattr(est, "code_usage")


def codes_section(
    est: Any, ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Show where rows lie among the codes, and which numbers of a code are used."""
    with unnamed_columns():
        usage = est.code_usage(ev.X[ev.drawn], random_state=seed(random_state))
    order = np.argsort(-usage.divergence, kind="stable")
    first, second = (*order[:2], *order[:1])[:2]
    places = usage.means[:, [first, second]]
    drawn = est.sample_codes(len(places), random_state=seed(random_state))[:, [first, second]]
    names = (f"z{first + 1}", f"z{second + 1}")
    labels = None if request.labels is None else request.labels[ev.drawn]
    pair = Projected(places, drawn, names)
    active = int(usage.active.sum())
    texts = [
        f"{active} of {len(order)} numbers of a code are active: their mean given the row varies "
        "from row to row by a variance above 0.01. The others tell nothing of a row, and keep to "
        f"the prior. Codes cost {usage.total:.2f} nats a row in the mean, "
        "KL(q(z|x) || p(z)); the bars say how much each number costs by itself.",
        f"The map shows the two numbers that cost most, {names[0]} and {names[1]}: left the means "
        "of rows, right draws of the prior. Where rows lie off the draws, samples of the model are "
        "unlike the data.",
    ]
    rows = [
        (f"z{j + 1}", f"{usage.divergence[j]:.3f}", f"{usage.spread[j]:.3f}", _yes(usage.active[j]))
        for j in order.tolist()
    ]
    header = ("number", "KL, nats", "variance of means", "active")
    table = Table("Numbers of a code, by what they cost", header, rows, folded=len(rows) > 12)
    return Section(
        "codes",
        "Codes",
        texts,
        tables=[table],
        figures=[usage_figure(usage.divergence, usage.active), codes_figure(pair, labels)],
    )


def reconstructions_section(
    est: Any, ev: Evaluation, request: Request, random_state: np.random.RandomState
) -> Section:
    """Show what codes tell of rows: images beside their reconstructions, or column by column."""
    title = "Reconstructions"
    with unnamed_columns():
        told = np.asarray(est.reconstruct(ev.X), dtype=float)
    if request.image_shape is not None:
        shown = random_state.permutation(len(ev.X))[:SAMPLE_IMAGES]
        low, high = float(ev.X.min()), float(ev.X.max())
        pairs = (("data", ev.X[shown]), ("by their codes", told[shown]))
        n, size = len(shown), request.image_shape
        strips = [
            StripRow(name, [Strip("", image_strip(rows, size, (low, high)), n, n)])
            for name, rows in pairs
        ]
        text = "Rows of the data, chosen at random, and below them what their codes tell of them."
        return Section("codes-told", title, [text], strips=strips)
    variance = ev.X.var(0)
    error = np.square(ev.X - told).mean(0)
    share = 1 - error / np.where(variance > 0, variance, np.inf)
    order = np.argsort(share, kind="stable")[:MOST_COLUMNS]
    rows = [
        (
            request.columns[j],
            f"{share[j]:.1%}",
            f"{error[j] ** 0.5:.4g}",
            f"{variance[j] ** 0.5:.4g}",
        )
        for j in order.tolist()
    ]
    text = (
        "How much of each column the code of a row tells, as a share of its variance; the columns "
        "that are told worst come first."
    )
    header = ("column", "told", "error, root of the mean square", "standard deviation")
    return Section("codes-told", title, [text], tables=[Table("", header, rows)])


def _yes(active: bool) -> str:
    return "yes" if active else "no"
