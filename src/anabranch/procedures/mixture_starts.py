"""The starts of a flow mixture, and setting a model to one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from anabranch.algorithms.gaussians import (
    GaussianParameters,
    GaussianStart,
    RowWeights,
    StartOptions,
    em_start,
    hard_start,
    kmeans_responsibilities,
    random_responsibilities,
)
from anabranch.algorithms.graph_clusters import (
    gap_responsibilities,
    spectral_responsibilities,
    spread_labels,
)
from anabranch.distributions import Categories, ContaminatedMixture, Distribution, Flow, Hedged
from anabranch.models import MixtureModel
from anabranch.transforms import Compose, TriangularAffine

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """A Gaussian mixture to start from, and what q is taught at first.

    Attributes:
        gaussian: the mixture, by name.
        responsibilities: (N, K) of all training rows; for k-means its hard assignments.
        trusted: whether they come from labels or gaps, so that the components are fitted to them
            first.
    """

    gaussian: GaussianStart
    responsibilities: Array
    trusted: bool = False


# Rows of each component that data-dependent layers are initialised from.
INITIAL_ROWS = 1024
# What covariances behind a trunk take of their diagonals.
SHRINKAGE = 0.1
INIT_PARAMS = ("auto", "kmeans", "gmm", "spectral", "random")
ASSIGN = {"random": random_responsibilities, "spectral": spectral_responsibilities}


@dataclass(frozen=True)
class StartRows:
    """Rows that starts are made from.

    Attributes:
        Z: (N, D) training rows as the flows see them.
        V: validation rows likewise.
        features: (N, F) what k-means and neighbourhood graphs look at.
        targets: (N, K) labels, rows of zeros where unknown, or None.
        weights: what rows count; None for one each.
    """

    Z: Array
    V: Array
    features: Array
    targets: Array | None
    weights: RowWeights | None = None


@dataclass(frozen=True, kw_only=True)
class _Search(StartRows):
    """What starts are made from.

    Attributes:
        rows: numbers of the rows that are searched on.
        options: how starts are searched.
        random_state: source of randomness.
    """

    rows: NDArray[np.int64]
    options: StartOptions
    random_state: np.random.RandomState

    @property
    def own_weights(self) -> RowWeights | None:
        """What the rows that are searched on count."""
        return None if self.weights is None else self.weights.of(self.rows)

    def hard(self, name: str, R: Array, *, trusted: bool = False) -> Start:
        """The start that assignments imply, after labels have overruled them."""
        R = with_labels(R, self.targets)
        found = R[self.rows]
        gaussian = hard_start(
            name, self.Z[self.rows], self.V, found, self.options, self.own_weights
        )
        return Start(gaussian, R, trusted)

    def soft(self, R: Array) -> Start:
        """The best start by EM, some of them from these assignments."""
        few, targets = self.Z[self.rows], self.targets
        soft = em_start(
            few, self.V, R[self.rows], self.options, self.random_state, self.own_weights
        )
        soft = _matched(soft, few, None if targets is None else targets[self.rows])
        return Start(soft, with_labels(soft.parameters.responsibilities(self.Z), targets))

    def proposal(self, kind: str) -> Start:
        """The start of one draw of assignments of this kind."""
        how = self.features, self.rows, self.options, self.random_state
        if kind in ASSIGN:
            R = ASSIGN[kind](*how)
        else:
            counts = None if self.weights is None else self.weights.training
            R = kmeans_responsibilities(*how, counts)
        return self.hard(kind, R, trusted=kind == "spectral")

    def gap(self, others: list[Array]) -> Start | None:
        """The start by regions that gaps in the data set apart, where the others miss them."""
        R = gap_responsibilities(self.features, self.rows, others, self.options, self.random_state)
        if R is None or not fit_labels(R, self.targets):
            return None
        return self.hard("spectral", R, trusted=True)

    def labelled(self, targets: Array) -> Start:
        """The start by labels that spread over a graph, but not across gaps they fit."""
        R = spread_labels(self.features, self.rows, targets)
        return self.gap([R]) or self.hard("labels", R, trusted=True)


def make_starts(
    data: StartRows,
    options: StartOptions,
    *,
    init_params: str,
    n_init: int,
    random_state: np.random.RandomState,
    given: tuple[str, Array] | None = None,
) -> Iterator[Start]:
    """The starts that a fit compares: for each of ``n_init`` draws, those of ``init_params``.

    Args:
        data: rows to make them from.
        options: how starts are searched.
        init_params: "kmeans", "gmm", "spectral", "random", or "auto": where all classes have
            labels, those spread over a neighbourhood graph; else k-means, and gmm where it
            differs; but spectral where gaps in the data set regions apart that these miss.
        n_init: draws.
        random_state: source of randomness.
        given: name and (N, K) responsibilities to start from, instead of any search.
    """
    # with many features, fewer rows say as much about each of them
    limit, targets = max(2000, 4_000_000 // data.Z.shape[1]), data.targets
    rows = _subset(len(data.Z), targets, min(options.max_rows, limit), random_state)
    search = _Search(**vars(data), rows=rows, options=options, random_state=random_state)
    if given is not None:
        yield search.hard(*given)
    elif init_params == "auto" and targets is not None and targets[rows].any(axis=0).all():
        yield search.labelled(targets)
    elif init_params == "auto":
        starts = [start for _ in range(n_init) for start in _automatic(search)]
        gap = search.gap([start.responsibilities for start in starts])
        yield from starts if gap is None else [gap]
    else:
        for _ in range(n_init):
            yield _single(search, init_params)


def _single(search: _Search, kind: str) -> Start:
    if kind == "gmm":
        return search.soft(search.proposal("kmeans").responsibilities)
    return search.proposal(kind)


def _automatic(search: _Search) -> Iterator[Start]:
    """The best of EM where it scores higher than k-means, and k-means where they differ."""
    hard = search.proposal("kmeans")
    soft = search.soft(hard.responsibilities)
    better = soft.gaussian.score > hard.gaussian.score + 1e-3
    if better:
        yield soft
    few = search.Z[search.rows]
    if not better or _agreement(hard.gaussian, soft.gaussian, few) <= 0.98:
        yield hard


def set_start(
    model: MixtureModel, start: GaussianParameters, weights: Array | None, *, freeze: bool
) -> None:
    """Make the mixture be this Gaussian mixture, with other weights where they are given.

    Frozen, its affine maps stay as they are: on small tables they are regularised estimates, and
    training by likelihood would undo that.
    """
    means, scale_tril = torch.as_tensor(start.means), torch.as_tensor(start.scale_tril)
    first = 0
    for group in model.mixture.groups:
        last = first + group.batch_shape[0]
        for part in (group.density, group.anchor) if isinstance(group, Hedged) else (group,):
            affine_of(part).set_gaussian(means[first:last], scale_tril[first:last])
        affine_of(group).requires_grad_(not freeze)
        first = last
    model.mixture.set_weights(torch.as_tensor(start.weights if weights is None else weights))


def set_categories(model: MixtureModel, factors: Sequence[Array]) -> None:
    """Make the categories of all components, and of what hedges them, those of a mixture.

    Those of a broad density beside them are the mean of all.

    Args:
        model: whose components are densities times categories.
        factors: of each column its probabilities, (K, levels).
    """
    first = 0
    for group in model.mixture.groups:
        last = first + group.batch_shape[0]
        tables = [torch.as_tensor(table[first:last]) for table in factors]
        for part in group.modules():
            if isinstance(part, Categories):
                part.set_probabilities(tables)
        first = last
    if isinstance(model.mixture, ContaminatedMixture):
        weights = model.mixture.log_weights.detach().double().cpu().exp()
        tables = [weights @ torch.as_tensor(table) for table in factors]
        for part in model.mixture.broad.modules():
            if isinstance(part, Categories):
                part.set_probabilities(tables)


def initialize_components(model: MixtureModel, z: Tensor, responsibilities: Array) -> None:
    """Set what layers such as `ActNorm` take from data, each component's from the rows it owns.

    Args:
        model: at its start.
        z: (N, D) training rows as the flows see them.
        responsibilities: (N, K).
    """
    labels = torch.as_tensor(responsibilities.argmax(1))
    owned = [(labels == k).nonzero().squeeze(1) for k in range(responsibilities.shape[1])]
    # as many rows for each, so that those of one kind are initialised in one call
    places = torch.arange(INITIAL_ROWS)
    rows = torch.stack(
        [z[own[places % len(own)] if len(own) else places % len(z)] for own in owned]
    )
    rows, first = rows.to(model.temperature.device), 0
    for group in model.mixture.groups:
        last = first + group.batch_shape[0]
        group.initialize(rows[first:last])
        _follow_trunk(group, rows[first:last])
        first = last


@torch.no_grad()
def _follow_trunk(group: Distribution, rows: Tensor) -> None:
    """Put a group's Gaussians where the trunk before them puts the rows of their components.

    A trunk that starts at the identity leaves them where the start has set them; one that mixes, as
    Glow does, takes the clusters elsewhere.

    Args:
        group: initialised.
        rows: (K, n, D), those of each of its components.
    """
    flow = group.density if isinstance(group, Hedged) else group
    if not (isinstance(flow, Flow) and isinstance(flow.transform, Compose)):
        return
    affine, parts = affine_of(flow), flow.transform.transforms
    trunk = parts[: next((i for i, part in enumerate(parts) if part is affine), 0)]
    moved = Compose(trunk).encode(rows)[0] if trunk else rows
    if not trunk or torch.allclose(moved, rows, atol=1e-4):
        return
    means = moved.mean(1)
    centred = (moved - means.unsqueeze(1)).double()
    std = centred.square().mean(1).sqrt().clamp_min(1e-3)
    factor = torch.diag_embed(std)
    if affine.lower is not None:  # shrunk to the diagonal: rows may be fewer than features
        covariance = centred.mT @ centred / centred.shape[1]
        factor = torch.linalg.cholesky(torch.lerp(covariance, factor.square(), SHRINKAGE))
    affine.set_gaussian(means, factor)


def affine_of(group: Distribution) -> TriangularAffine:
    """The affine map of a group of components, of their flows where they are hedged."""
    modules = (m for m in group.modules() if isinstance(m, TriangularAffine) and m.batch_shape)
    return next(modules)


def _subset(
    n_rows: int, targets: Array | None, max_rows: int, random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Rows to search on: all labelled ones, and others up to the limit."""
    if n_rows <= max_rows:
        return np.arange(n_rows)
    order = random_state.permutation(n_rows)
    if targets is not None:
        order = order[np.argsort(~(targets[order] > 0).any(axis=1), kind="stable")]
    return np.sort(order[:max_rows])


def with_labels(R: Array, targets: Array | None) -> Array:
    """Rename clusters so that they fit the labels best, and let labels overrule them."""
    if targets is None:
        return R
    _, columns = linear_sum_assignment(-(targets.T @ R))
    R = R[:, columns]
    known = targets.sum(axis=1) > 0
    return np.where(known[:, None], targets, R)


def fit_labels(R: Array, targets: Array | None) -> bool:
    """Whether clusters fit the labels: nineteen of twenty, under the best matching of names."""
    if targets is None:
        return True
    table = targets.T @ R
    matched = table[linear_sum_assignment(-table)].sum()
    return bool(matched >= 0.95 * targets.sum())


def _matched(start: GaussianStart, Z: Array, targets: Array | None) -> GaussianStart:
    """Rename the components of a start so that they fit the labels best."""
    if targets is None:
        return start
    old = start.parameters
    _, order = linear_sum_assignment(-(targets.T @ old.responsibilities(Z)))
    new = replace(
        old,
        weights=old.weights[order],
        means=old.means[order],
        covariances=old.covariances[order],
    )
    return replace(start, parameters=new)


def _agreement(a: GaussianStart, b: GaussianStart, Z: Array) -> float:
    """Share of rows that two starts give to the same component, under the best matching."""
    first = a.parameters.joint_log_prob(Z).argmax(1)
    second = b.parameters.joint_log_prob(Z).argmax(1)
    n_components = len(a.parameters.weights)
    table = np.zeros((n_components, n_components))
    np.add.at(table, (first, second), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(Z))
