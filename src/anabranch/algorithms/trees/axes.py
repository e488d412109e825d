"""Search of a latent tree together with the axes that it speaks of."""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from anabranch.algorithms.trees.additive_start import additive_starts
from anabranch.algorithms.trees.search import (
    TreeSearch,
    check_searchable,
    climb,
    separate_start,
    single_start,
)
from anabranch.algorithms.trees.stepwise_em import tree_em
from anabranch.distributions.latent_tree import LatentTree

# Most turns of the axes with EM between, iterations of each, and the gain in nats that ends them.
TURNS, TURNING, GAIN = 30, 20, 1e-3
# Most searches of a structure, each on the axes that the one before has led to.
SEARCHES = 5


class TurnedSearch(NamedTuple):
    """What a search over structures and axes found.

    Attributes:
        search: with the tree, which is over z @ matrix.
        matrix: (D, D), orthogonal.
    """

    search: TreeSearch
    matrix: Tensor


def turn_axes(
    tree: LatentTree,
    z: Tensor,
    *,
    max_turns: int = TURNS,
    tol: float = GAIN,
    reg_covar: float = 0.0,
) -> Tensor:
    r"""The rotation of rows under which a tree explains them best; the tree is fitted in place.

    .. math:: \max_{R, \theta} \; \frac1N \sum_i \log p_\theta(z_i R),
        \qquad R = \exp(A - A^\top)

    The two are improved in turn, R by L-BFGS and the tree by EM. A rotation has no volume, so that
    the values are densities of the same rows. It is independent subspace analysis with the tree as
    the density of the sources.

    Source: Pham, Garat (1997), "Blind separation of mixture of independent sources through a
    quasi-maximum likelihood approach"; for mixtures as the sources: Attias (1999), "Independent
    factor analysis"; for subspaces: Hyvärinen, Hoyer (2000), "Emergence of phase- and
    shift-invariant features by decomposition of natural images into independent feature subspaces".

    Args:
        tree: where to start; it ends fitted to z @ R.
        z: rows (N, D), white or nearly so.
        max_turns: upper limit of turns, with EM after each.
        tol: smallest gain of the mean log-density, in nats, to go on.
        reg_covar: added to the variances.

    Returns:
        R, (D, D).

    Raises:
        ValueError: where a covariance becomes singular.

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> source = torch.Generator().manual_seed(0)
        >>> signs = torch.randint(2, (500, 1), generator=source) * 2.0 - 1
        >>> noise = torch.randn(500, 2, generator=source, dtype=torch.float64)
        >>> z = 0.2 * noise + signs * torch.tensor([0.6, 0.8])
        >>> two = TreeStructure((2, 1), (-1, 0), ((0,), (1,)), (0, 1))
        >>> tree = LatentTree(two, generator=source).double()
        >>> matrix = turn_axes(tree, z)
        >>> matrix[:, 0].abs().round(decimals=1).tolist()  # the first axis has both clusters
        [0.6, 0.8]
    """
    matrix = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    before = -math.inf
    for _ in range(max_turns):
        matrix = matrix @ _likeliest_turn(tree, z @ matrix)
        now = tree_em(tree, z @ matrix, max_iter=TURNING, reg_covar=reg_covar)[-1]
        if now - before < tol:
            break
        before = now
    return matrix


def _likeliest_turn(tree: LatentTree, z: Tensor) -> Tensor:
    """A rotation (D, D) under which a tree that stays as it is explains rows better."""
    n = z.shape[1]
    above = torch.triu_indices(n, n, 1, device=z.device).unbind()
    angles = z.new_zeros(len(above[0]), requires_grad=True)

    def rotation() -> Tensor:
        upper = z.new_zeros(n, n).index_put(above, angles)
        return torch.linalg.matrix_exp(upper - upper.mT)

    def loss() -> Tensor:
        value = -tree.log_prob(z @ rotation()).mean()
        (angles.grad,) = torch.autograd.grad(value, [angles])
        return value.detach()

    with torch.enable_grad():
        if n > 1:
            settings = {"max_iter": TURNING, "line_search_fn": "strong_wolfe"}
            torch.optim.LBFGS([angles], **settings).step(loss)
        return rotation().detach()


def turned_climb(
    search: TreeSearch, z: Tensor, matrix: Tensor, *, max_states: int = 8, reg_covar: float = 0.0
) -> TurnedSearch:
    """Turn the axes for a tree, search on, and so forth while that raises the score.

    Args:
        search: with a tree over z @ matrix.
        z: rows (N, D), float64, in random order.
        matrix: (D, D), orthogonal.
        max_states: most states that a variable may have.
        reg_covar: added to the variances.
    """
    for _ in range(SEARCHES):
        tree = copy.deepcopy(search.tree)
        turned = matrix @ turn_axes(tree, z @ matrix, reg_covar=reg_covar)
        found = climb(tree, z @ turned, max_states=max_states, reg_covar=reg_covar)
        if found.bic <= search.bic:
            break
        path = [*search.path, ("turn", found.path[0][1]), *found.path[1:]]
        search, matrix = TreeSearch(found.tree, found.bic, path), turned
    return TurnedSearch(search, matrix)


def search_turned(
    z: Tensor,
    starts: Sequence[Tensor],
    *,
    max_states: int = 8,
    reg_covar: float = 0.0,
    random_state: np.random.RandomState | None = None,
) -> TurnedSearch:
    """Find the structure of a latent tree, and the axes that it is over, by their score.

    From each of some rotations, and there from one variable of two states: hill climbing, then by
    turns the axes that make the tree likeliest and further moves; on the first rotation also from a
    variable for each feature; and from the variables and axes of `additive_starts`, which need no
    rotation. All scores are of the same rows, so that the best may be taken; the angles of a
    rotation are not counted, for all have as many.

    Args:
        z: rows (N, D), float64, white, in random order.
        starts: orthogonal matrices (D, D).
        max_states: most states that a variable may have.
        reg_covar: added to the variances.
        random_state: source of the centres that mixtures start from.

    Raises:
        ValueError: for no starts, fewer than two rows or states, or where a feature does not vary.

    Example:
        >>> source = torch.Generator().manual_seed(0)
        >>> y = torch.randint(2, (300, 2), generator=source).double() - 0.5
        >>> z = y + 0.1 * torch.randn(300, 2, generator=source, dtype=torch.float64)
        >>> turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
        >>> found = search_turned(
        ...     z @ turn, [turn], max_states=2, random_state=np.random.RandomState(0)
        ... )
        >>> found.search.tree.structure.states, found.matrix.shape
        ((2, 2), torch.Size([2, 2]))
    """
    if not starts:
        raise ValueError("starts must hold at least one rotation, got none")
    check_searchable(z, max_states)
    random_state = np.random.RandomState() if random_state is None else random_state
    limits = {"max_states": max_states, "reg_covar": reg_covar}
    how = {"reg_covar": reg_covar, "random_state": random_state}
    begun = [(single_start(z @ matrix, 2, **how), matrix) for matrix in starts]
    begun.append((separate_start(z @ starts[0], max_states=max_states, **how), starts[0]))
    begun += additive_starts(z, max_states=max_states, **how)
    found = [
        turned_climb(climb(tree, z @ matrix, **limits), z, matrix, **limits)
        for tree, matrix in begun
    ]
    return max(found, key=lambda turned: turned.search.bic)
