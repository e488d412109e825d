"""Starts on products of spaces: mixtures of simple components, and setting a model to one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anabranch.algorithms.gaussians import StartOptions, kmeans_responsibilities
from anabranch.algorithms.graph_clusters import gap_responsibilities, spread_labels
from anabranch.algorithms.product_mixtures import (
    ProductParameters,
    ProductRows,
    maximisation,
    product_em,
)
from anabranch.contracts.domain import Circle, Sphere
from anabranch.distributions import Chain, Distribution, Flow, VonMises, VonMisesFisher
from anabranch.models import MixtureModel
from anabranch.procedures.mixture_starts import ASSIGN, fit_labels, set_categories, with_labels
from anabranch.transforms import TriangularAffine

Array = NDArray[np.float64]
Blocks = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class ProductStart:
    """A mixture of simple components to start from.

    Attributes:
        name: of how its rows were assigned.
        parameters: the mixture.
        responsibilities: (N, K) of the training rows.
        score: mean log-density of held-out rows, in nats.
        trusted: whether they come from gaps, so that the components are fitted to them first.
    """

    name: str
    parameters: ProductParameters
    responsibilities: Array
    score: float
    trusted: bool = False


def product_rows(z: Array, blocks: Blocks, levels: Sequence[int] = ()) -> ProductRows:
    """Rows as a model sees them, by spaces: angles become unit vectors.

    Args:
        z: (N, W + C), the blocks and behind them the codes of categories.
        blocks: kind and size of each, "circle", "sphere" or "real".
        levels: how many categories each column of codes has.

    Example:
        >>> product_rows(np.zeros((2, 3)), [("circle", 1), ("real", 2)]).directions[0]
        array([[1., 0.],
               [1., 0.]])
    """
    directions: list[Array] = []
    reals, place = [z[:, :0]], 0
    for kind, size in blocks:
        block = z[:, place : place + size]
        place += size
        if kind == "circle":
            directions += [np.stack((np.cos(a), np.sin(a)), 1) for a in block.T]
        elif kind == "sphere":
            directions.append(block / np.linalg.norm(block, axis=1, keepdims=True))
        else:
            reals.append(block)
    return ProductRows(tuple(directions), np.concatenate(reals, 1), z[:, place:], tuple(levels))


@dataclass(frozen=True)
class ProductSearch:
    """What starts are made from.

    Attributes:
        rows: training rows.
        V: validation rows.
        targets: (N, K) labels, rows of zeros where unknown, or None.
        options: K, and the least variance.
        random_state: source of randomness.
    """

    rows: ProductRows
    V: ProductRows
    targets: Array | None
    options: StartOptions
    random_state: np.random.RandomState

    def best(self, init_params: str, n_init: int, given: Array | None = None) -> ProductStart:
        """The best of several by EM on held-out rows, or that of gaps in the data.

        Args:
            init_params: how rows are assigned at first, as in `make_starts`.
            n_init: draws.
            given: responsibilities to start from instead.
        """
        if given is not None:
            return self._kept("given", with_labels(given, self.targets), trusted=False)
        features, few = self.rows.features(), self._few()
        targets = self.targets
        if init_params == "auto" and targets is not None and targets[few].any(0).all():
            return self._fitted("labels", spread_labels(features, few, targets), few)
        assign = ASSIGN.get(init_params, kmeans_responsibilities)
        found = [
            self._kept(init_params, with_labels(R, targets), trusted=True)
            if init_params == "spectral"
            else self._fitted(init_params, R, few)
            for R in (assign(features, few, self.options, self.random_state) for _ in range(n_init))
        ]
        if init_params == "auto":
            others = [start.responsibilities for start in found]
            R = gap_responsibilities(features, few, others, self.options, self.random_state)
            if R is not None and fit_labels(R, targets):
                return self._kept("spectral", with_labels(R, targets), trusted=True)
        return max(found, key=lambda start: start.score)

    def _few(self) -> NDArray[np.int64]:
        """Rows to search on: all of few, and of many those with labels first."""
        n, most = len(self.rows), self.options.max_rows
        if n <= most:
            return np.arange(n)
        order = self.random_state.permutation(n)
        if self.targets is not None:
            order = order[np.argsort(~self.targets[order].any(1), kind="stable")]
        return np.sort(order[:most])

    def _fitted(self, name: str, R: Array, few: NDArray[np.int64]) -> ProductStart:
        """By EM from assignments."""
        targets = self.targets
        known = None if targets is None else targets[few]
        R = with_labels(R, targets)
        found = product_em(
            self.rows.take(few), R[few], known=known, reg_covar=self.options.reg_covar
        )
        R = found.responsibilities(self.rows)
        if targets is not None:
            R = np.where(targets.any(1, keepdims=True), targets, R)
        return ProductStart(name, found, R, float(found.log_prob(self.V).mean()))

    def _kept(self, name: str, R: Array, *, trusted: bool) -> ProductStart:
        """Of assignments as they are."""
        found = maximisation(self.rows, R, self.options.reg_covar)
        return ProductStart(name, found, R, float(found.log_prob(self.V).mean()), trusted)


def set_product_mixture(
    model: MixtureModel, parameters: ProductParameters, weights: Array | None
) -> None:
    """Make a mixture be this one of simple components, with other weights where they are given."""
    first = 0
    for group in model.mixture.groups:
        last = first + group.batch_shape[0]
        set_product(group, parameters.take(first, last))
        first = last
    if parameters.factors:
        set_categories(model, parameters.factors)
    model.mixture.set_weights(torch.as_tensor(parameters.weights if weights is None else weights))


def set_product(density: Distribution, parameters: ProductParameters) -> None:
    """Make a `product_density` the simple components that it starts from, and what hedges it.

    Args:
        density: untrained; with K components, or alone.
        parameters: of as many components.
    """
    anchor = next(density.parameters())
    alone = density.batch_shape == ()

    def tensor(values: Array) -> Tensor:
        made = torch.as_tensor(values, dtype=torch.float64, device=anchor.device)
        return made[0] if alone else made

    vectors = [tensor(x) for x in parameters.directions]
    widths = [tensor(x) for x in parameters.concentrations]
    scale_tril: Array = np.linalg.cholesky(parameters.covariances).astype(np.float64)
    for chain in (part for part in density.modules() if isinstance(part, Chain)):
        place = 0
        for factor in chain.factors:
            if isinstance(factor.domain, Circle):
                (size,) = factor.event_shape
                _around(factor, vectors[place : place + size], widths[place : place + size])
                place += size
            elif isinstance(factor.domain, Sphere):
                _around(factor, [vectors[place]], [widths[place]])
                place += 1
            else:
                affine = next(m for m in factor.modules() if isinstance(m, TriangularAffine))
                affine.set_gaussian(tensor(parameters.means), tensor(scale_tril))


@torch.no_grad()
def _around(factor: Distribution, vectors: list[Tensor], widths: list[Tensor]) -> None:
    """Put an untrained factor, or the base of a flow, around directions.

    Conditioners are at zero, so that a flow turns all points alike, whatever it is given.
    """
    circle = isinstance(factor.domain, Circle)
    point = torch.stack([torch.atan2(v[..., 1], v[..., 0]) for v in vectors], -1)
    point = point.remainder(2 * torch.pi) if circle else vectors[0]
    base: nn.Module = factor
    if isinstance(factor, Flow):
        base, x = factor.base, point.unsqueeze(-2).float()
        seen = x.new_zeros(*x.shape[:-1], factor.context_features)
        z, _ = factor.transform.encode(x, seen if factor.context_features else None)
        point = z.squeeze(-2).double()
    if isinstance(base, VonMises):
        directions = torch.stack((point.cos(), point.sin()), -1)
        base.plane.set_parameters(directions, torch.stack(widths, -1))
    elif isinstance(base, VonMisesFisher):
        base.set_parameters(point, widths[0])
