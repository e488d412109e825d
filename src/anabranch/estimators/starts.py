"""The starts of a flow mixture, and setting a model to one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from anabranch.distributions import Distribution
from anabranch.models import MixtureModel
from anabranch.training import (
    GaussianParameters,
    GaussianStart,
    StartOptions,
    em_start,
    hard_start,
    kmeans_responsibilities,
    random_responsibilities,
    spread_labels,
)
from anabranch.transforms import TriangularAffine

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """A Gaussian mixture to start from, and what q is taught at first.

    Attributes:
        gaussian: the mixture, by name.
        responsibilities: (N, K) of all training rows; for k-means its hard assignments.
        trusted: whether they come from labels, so that the components are fitted to them first.
    """

    gaussian: GaussianStart
    responsibilities: Array
    trusted: bool = False


INIT_PARAMS = ("auto", "kmeans", "gmm", "random")


def make_starts(
    Z: Array,
    V: Array,
    features: Array,
    targets: Array | None,
    options: StartOptions,
    *,
    init_params: str,
    n_init: int,
    random_state: np.random.RandomState,
) -> Iterator[Start]:
    """The starts that a fit compares: for each of ``n_init`` draws, those of ``init_params``.

    Args:
        Z: (N, D) training rows as the flows see them.
        V: validation rows likewise.
        features: (N, F) what k-means looks at.
        targets: (N, K) labels, rows of zeros where unknown, or None.
        options: how starts are searched.
        init_params: "kmeans", "gmm", "random", or "auto": where all classes have labels, those
            spread over a neighbourhood graph; else k-means, and gmm where it differs.
        n_init: draws.
        random_state: source of randomness.
    """
    # with many features, fewer rows say as much about each of them
    limit = min(options.max_rows, max(2000, 4_000_000 // Z.shape[1]))
    rows = _subset(len(Z), targets, limit, random_state)
    few, few_targets = Z[rows], None if targets is None else targets[rows]
    taught = targets is not None and few_targets is not None and few_targets.any(axis=0).all()
    if init_params == "auto" and targets is not None and taught:
        R = spread_labels(features, rows, targets)
        yield Start(hard_start("labels", few, V, R[rows], options), R, trusted=True)
        return
    for _ in range(n_init):
        assign = random_responsibilities if init_params == "random" else kmeans_responsibilities
        R = _with_labels(assign(features, rows, options, random_state), targets)
        name = "random" if init_params == "random" else "kmeans"
        hard = hard_start(name, few, V, R[rows], options)
        if init_params in ("auto", "gmm"):
            soft = em_start(few, V, R[rows], options, random_state)
            soft = _matched(soft, few, few_targets)
            if init_params == "gmm" or soft.score > hard.score + 1e-3:
                yield Start(soft, _with_labels(soft.parameters.responsibilities(Z), targets))
                if init_params == "gmm" or _agreement(hard, soft, few) > 0.98:
                    continue
        yield Start(hard, R)


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
        affine = affine_of(group)
        last = first + affine.batch_shape[0]
        affine.set_gaussian(means[first:last], scale_tril[first:last])
        affine.requires_grad_(not freeze)
        first = last
    model.mixture.set_weights(torch.as_tensor(start.weights if weights is None else weights))


def affine_of(group: Distribution) -> TriangularAffine:
    """The affine map of a group of components; the recipe puts one into each."""
    modules = (m for m in group.modules() if isinstance(m, TriangularAffine))
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


def _with_labels(R: Array, targets: Array | None) -> Array:
    """Rename clusters so that they fit the labels best, and let labels overrule them."""
    if targets is None:
        return R
    _, columns = linear_sum_assignment(-(targets.T @ R))
    R = R[:, columns]
    known = targets.sum(axis=1) > 0
    return np.where(known[:, None], targets, R)


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
