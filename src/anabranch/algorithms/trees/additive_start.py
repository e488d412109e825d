"""Trees that a search may start from, with their axes, by additive mixtures."""

import numpy as np
import torch
from torch import Tensor

from anabranch.algorithms.gaussians.additive import AdditiveMixture, additive_em
from anabranch.algorithms.trees.moves import TreePlan, build_tree
from anabranch.algorithms.trees.search import chow_liu
from anabranch.algorithms.trees.stepwise_em import tree_em
from anabranch.distributions.latent_tree import LatentTree

# Most variables, and most joint states of them, of a mixture.
VARIABLES, JOINT = 3, 100
# A direction of which the axes before leave less than this share is none of its own.
LEAST = 0.2


def additive_starts(
    z: Tensor,
    *,
    max_states: int = 8,
    n_init: int = 40,
    reg_covar: float = 0.0,
    random_state: np.random.RandomState | None = None,
) -> list[tuple[LatentTree, Tensor]]:
    """For two and for three variables the additive mixture with the best score, as a tree.

    The means of each variable span axes of its own, in one pouch; the other axes go to the first. A
    variable for which no axes are left is left out. All variables of a mixture have the same number
    of states, which moves may change later.

    Args:
        z: rows (N, D), float64, white.
        max_states: most states of a variable.
        n_init: starts of each mixture.
        reg_covar: added to the variances.
        random_state: source of the starts.

    Returns:
        Trees, each fitted to z @ matrix, with their orthogonal matrices (D, D); none for fewer than
        two features.

    Example:
        >>> source = torch.Generator().manual_seed(0)
        >>> y = torch.randint(2, (300, 2), generator=source).double() - 0.5
        >>> z = y + 0.1 * torch.randn(300, 2, generator=source, dtype=torch.float64)
        >>> turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
        >>> how = {"max_states": 2, "random_state": np.random.RandomState(0)}
        >>> ((tree, matrix),) = additive_starts(z @ turn, **how)
        >>> sorted(tree.structure.pouches), (turn @ matrix).abs().round().tolist()
        ([(0,), (1,)], [[1.0, 0.0], [0.0, 1.0]])
    """
    random_state = np.random.RandomState() if random_state is None else random_state
    how = {"n_init": n_init, "reg_covar": reg_covar, "random_state": random_state}
    found = []
    for n in range(2, min(VARIABLES, z.shape[1]) + 1):
        sizes = [k for k in range(2, min(max_states, len(z)) + 1) if k**n <= JOINT]
        mixtures = [additive_em(z, (k,) * n, **how) for k in sizes]
        best = max(mixtures, key=AdditiveMixture.bic)
        found.append(_tree_of(best, z, reg_covar))
    return found


def _tree_of(mixture: AdditiveMixture, z: Tensor, reg_covar: float) -> tuple[LatentTree, Tensor]:
    matrix, owners = own_axes(mixture)
    kept = sorted(set(owners))
    pouches = [tuple(j for j, owner in enumerate(owners) if owner == i) for i in kept]
    edges = chow_liu([node.mT.numpy(force=True) for node in mixture.nodes])
    plan = TreePlan(mixture.nodes, edges, pouches, kept)
    tree = build_tree(plan, z @ matrix, reg_covar=reg_covar)
    tree_em(tree, z @ matrix, reg_covar=reg_covar)
    return tree, matrix


def own_axes(mixture: AdditiveMixture) -> tuple[Tensor, list[int]]:
    """An orthogonal matrix (D, D) whose columns are axes of one variable each; and which.

    Along the axes of a variable its means differ most; of those that two lay claim to, the one with
    the larger differences takes them. Axes along which none differ are those of the first.
    """
    claims: list[tuple[float, int, Tensor]] = []
    for i, (weights, means) in enumerate(zip(mixture.weights, mixture.means, strict=True)):
        spread = weights.sqrt()[:, None] * (means - weights @ means)
        _, lengths, directions = torch.linalg.svd(spread, full_matrices=False)
        claims += [(float(s), i, v) for s, v in zip(lengths, directions, strict=True)]
    axes, owners = claims[0][2].new_zeros(0, len(mixture.covariance)), []
    for length, i, direction in sorted(claims, key=lambda claim: -claim[0]):
        left = direction - (axes @ direction) @ axes
        if length > 1e-6 and float(left.norm()) > LEAST:
            axes, owners = torch.cat([axes, (left / left.norm())[None]]), [*owners, i]
    rest = torch.linalg.svd(axes)[2][len(axes) :]
    return torch.cat([axes, rest]).mT, owners + [0] * len(rest)
