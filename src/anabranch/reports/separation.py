"""The section that asks whether clusters stand apart."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.metrics import bayes_error, connections, density_silhouette, overlaps
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.figures.matrix import overlap_figure
from anabranch.reports.protocol import FittedMixture, unnamed_columns
from anabranch.reports.section import Section, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

# Samples of each component that ways are looked for through, and of all; neighbours of each.
NODES, MOST_NODES, NEIGHBOURS = 60, 480, 8
STEPS = (0.25, 0.5, 0.75)
# How often nodes move to the mean of so many neighbours.
SMOOTHED, AVERAGED = 2, 12
# A valley of less than this, in nats, is none: there the density keeps two thirds of its height.
SHALLOW = float(np.log(1.5))
WRITTEN = 12


def separation_section(est: FittedMixture, ev: Evaluation, *, ways: bool) -> Section:
    """Tell how far components overlap, and which of them cut one cloud.

    Args:
        est: The mixture.
        ev: What it says of rows and samples.
        ways: Whether ways between components are looked for, which takes densities of some
            thousand rows.
    """
    error = bayes_error(ev.sample_posterior)
    matrix = overlaps(ev.sample_posterior, ev.sample_components)
    silhouette = density_silhouette(ev.log_posterior)
    texts = [
        f"Of rows drawn from the model, {error:.1%} would be given to a component that they were "
        "not drawn from, whatever the rule (Bayes error): it is what the components overlap by.",
    ]
    valleys = valleys_between(est, ev) if ways else {}
    cut = [pair for pair, depth in valleys.items() if depth < SHALLOW]
    texts += _judgement(cut, valleys, looked=ways)
    found = np.unique(ev.predicted).tolist()
    rows = [
        (
            str(c),
            f"{matrix[c, c]:.1%}" if np.isfinite(matrix[c, c]) else "no sample",
            _closest(matrix, c),
            f"{silhouette[ev.predicted == c].mean():.3f}",
            _nearest_valley(valleys, c),
        )
        for c in found
    ]
    header = ("component", "keeps", "loses most to", "silhouette", "shallowest valley")
    note = (
        "Keeps: the mean p(c|x) of samples of the component. Silhouette: the mean lead of a row's "
        "component over the second, in the logarithm, relative to the largest lead (0: undecided, "
        "1: as clear as the clearest row). Valley: how many nats the density falls below that of "
        "its core and the other's, at least, on the best way to another component."
    )
    table = Table("Separation of components", header, rows)
    figures = [overlap_figure(matrix)] if 1 < len(matrix) <= 4 * WRITTEN else []
    title = "Do the clusters stand apart?"
    return Section("separation", title, [*texts, note], tables=[table], figures=figures)


def _judgement(
    cut: Sequence[tuple[int, int]], valleys: dict[tuple[int, int], float], *, looked: bool
) -> list[str]:
    if not looked or not valleys:
        return []
    if not cut:
        return [
            "Between any two components the density of the model falls to less than two thirds of "
            "that in the cores of both: each is a hill of its own."
        ]
    pairs = ", ".join(f"{a} and {b}" for a, b in cut[:6]) + (", ..." if len(cut) > 6 else "")
    return [
        f"Warning: between components {pairs} there is a way on which the density of the model "
        "never falls below two thirds of that in their cores. They cut one continuous cloud into "
        "parts: a good description of its shape, but no evidence of groups. Fewer components may "
        "say the same."
    ]


def _closest(matrix: np.ndarray, component: int) -> str:
    others = np.delete(matrix[component], component)
    if not len(others) or not np.isfinite(others).all():
        return "-"
    other = int(np.delete(np.arange(len(matrix)), component)[others.argmax()])
    return f"{others.max():.1%} to {other}"


def _nearest_valley(valleys: dict[tuple[int, int], float], component: int) -> str:
    own = {pair: depth for pair, depth in valleys.items() if component in pair}
    if not own:
        return "-"
    pair = min(own, key=lambda found: own[found])
    other = pair[1] if pair[0] == component else pair[0]
    return f"{max(own[pair], 0):.1f} nats, to {other}"


def valleys_between(est: FittedMixture, ev: Evaluation) -> dict[tuple[int, int], float]:
    r"""How far the density falls on the best way between two components, in nats.

    .. math:: v_{kl} = \min(t_k, t_l) - w_{kl}

    with t the median log-density of a component's core, the densest third of its nodes, and w the
    median over pairs of core nodes of the least log-density on the best way. Nodes are samples
    moved to the mean of their neighbours where that is denser, so that they lie on ridges in many
    columns, too; ways run along straight lines between nodes that are neighbours in standardised
    columns, and a category changes halfway.

    Source: after the ridgelines of Ray, Lindsay (2005), "The topography of multivariate normal
    mixtures", by samples, for components of any shape.
    """
    nodes, owners, log_density = _nodes(est, ev)
    if len(np.unique(owners)) < 2:
        return {}
    heights = connections(_edges(est, ev, (nodes, owners), log_density))
    cores = {}
    for c in np.unique(owners).tolist():
        own = np.flatnonzero(owners == c)
        cores[c] = own[np.argsort(-log_density[own], kind="stable")][: max(1, len(own) // 3)]
    found = {}
    for a, b in combinations(cores, 2):
        between = float(np.median(heights[np.ix_(cores[a], cores[b])]))
        typical = min(float(np.median(log_density[cores[c]])) for c in (a, b))
        found[a, b] = typical - between
    return found


def _nodes(est: FittedMixture, ev: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places on the ridges of components, their components and log-densities."""
    from sklearn.neighbors import NearestNeighbors

    components = np.unique(ev.sample_components)
    each = max(4, min(NODES, MOST_NODES // max(len(components), 1)))
    rows = np.concatenate(
        [np.flatnonzero(ev.sample_components == c)[:each] for c in components]
    ).astype(int)
    nodes, owners = ev.samples[rows], ev.sample_components[rows]
    log_density = ev.sample_log_density[rows].copy()
    apart = ev.view.spread(ev.samples)
    scale = apart.std(0)
    near = NearestNeighbors(n_neighbors=min(AVERAGED, len(apart)))
    around = near.fit(apart / np.where(scale > 0, scale, 1.0))
    for _ in range(SMOOTHED):
        places = ev.view.spread(nodes) / np.where(scale > 0, scale, 1.0)
        moved = ev.samples[around.kneighbors(places, return_distance=False)].mean(1)
        moved = np.where(_codes(ev), nodes, moved)
        scores = _scores(est, ev, moved)
        better = scores > log_density
        nodes = np.where(better[:, None], moved, nodes)
        log_density = np.where(better, scores, log_density)
    return nodes, owners, log_density


def _codes(ev: Evaluation) -> np.ndarray:
    """Which columns are categories, (D,)."""
    return np.array([ev.view.categories(j) is not None for j in range(ev.samples.shape[1])])


def _edges(
    est: FittedMixture,
    ev: Evaluation,
    found: tuple[np.ndarray, np.ndarray],
    log_density: np.ndarray,
) -> np.ndarray:
    """The least log-density on the line between neighbours, -inf where there is no line."""
    from sklearn.neighbors import NearestNeighbors

    nodes, owners = found
    apart = ev.view.spread(nodes)
    scale = apart.std(0)
    apart = apart / np.where(scale > 0, scale, 1.0)
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(nodes))).fit(apart)
    neighbours = near.kneighbors(return_distance=False, n_neighbors=min(NEIGHBOURS, len(nodes) - 1))
    first = np.repeat(np.arange(len(nodes)), neighbours.shape[1])
    pairs = np.concatenate([np.c_[first, neighbours.ravel()], _bridges(owners, apart)])
    least = np.minimum(log_density[pairs[:, 0]], log_density[pairs[:, 1]])
    for step in STEPS:
        way = (1 - step) * nodes[pairs[:, 0]] + step * nodes[pairs[:, 1]]
        kept = nodes[pairs[:, 0 if step <= 0.5 else 1]]
        least = np.minimum(least, _scores(est, ev, np.where(_codes(ev), kept, way)))
    weights = np.full((len(nodes), len(nodes)), -np.inf)
    np.maximum.at(weights, (pairs[:, 0], pairs[:, 1]), least)
    return np.maximum(weights, weights.T)


def _bridges(owners: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """From each node to the nearest one of each other component: they may be no neighbours."""
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(apart)
    rows = []
    for c in np.unique(owners):
        own = np.flatnonzero(owners == c)
        others = np.flatnonzero(owners != c)
        if len(others):
            rows.append(np.c_[others, own[distances[np.ix_(others, own)].argmin(1)]])
    return np.concatenate(rows) if rows else np.empty((0, 2), int)


def _scores(est: Any, ev: Evaluation, numbers: np.ndarray) -> np.ndarray:
    with unnamed_columns():
        scores = np.asarray(est.score_samples(ev.view.rows(numbers)), dtype=float)
    return np.where(np.isnan(scores), -np.inf, scores)
