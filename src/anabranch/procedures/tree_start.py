"""A start of NVISA with a latent tree as its prior: the tree of the codes of an autoencoder."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import CovarianceModel, gaussian_em, kmeans_responsibilities
from anabranch.algorithms.gaussians.starts import StartOptions
from anabranch.models.autoencoders.tree_prior import TreePrior
from anabranch.procedures.fit_ltvae import searched_tree, white_axes

Array = NDArray[np.float64]
STARTS = 5
LEAST = 1e-3


class TreeStart(NamedTuple):
    """What the codes say of several variables.

    Attributes:
        responsibilities: of all variables together, (N, K).
        centre: of the codes, (L,).
        factor: (L, L): latents are (codes - centre) @ factor.
    """

    responsibilities: Array
    centre: Array
    factor: Array


@torch.no_grad()
def start_tree(
    prior: TreePrior, codes: Array, within: float, random_state: np.random.RandomState
) -> TreeStart:
    """Find the axes of the codes that belong to each variable, and set the prior to them.

    The structure and the axes are those of `anabranch.algorithms.trees.search_turned`; on the axes
    of each variable a mixture with its number of states is fitted. Where the search finds more
    variables than the prior has, those with the most to tell are taken; where fewer, the
    last ones take all axes that are left over, or else all there are.

    Args:
        prior: changed in place.
        codes: (N, L).
        within: standard deviation that latents shall have within a cluster.
        random_state: source of all starts.
    """
    centre, matrix = white_axes(codes)
    white = (codes - centre) @ matrix
    order = torch.as_tensor(random_state.permutation(len(codes)))
    tree, rotation = searched_tree(torch.as_tensor(white)[order], max(prior.states), random_state)
    turned = white @ rotation.numpy()
    information = tree.information(torch.as_tensor(turned))
    telling = [
        i for i in information.argsort(descending=True).tolist() if tree.structure.states[i] > 1
    ]
    groups = [list(tree.structure.owned(i)) for i in telling[: len(prior.states)]]
    groups = _in_order(groups, [tree.structure.states[i] for i in telling], prior.states)
    spare = sorted(set(range(codes.shape[1])) - {j for group in groups for j in group})
    columns: list[Array] = []
    owners: list[int] = []
    parts: list[Array] = []
    for f, states in enumerate(prior.states):
        own = groups[f] if f < len(groups) else (spare or list(range(codes.shape[1])))
        parts.append(_mixture(turned[:, own], states, random_state))
        if f < len(groups):
            columns.append(rotation.numpy()[:, own] @ _round(turned[:, own], parts[-1], within))
            owners += [f] * len(own)
    if spare:
        columns.append(rotation.numpy()[:, spare] * within)
        owners += [len(prior.states) - 1] * len(spare)
    factor = matrix @ np.concatenate(columns, 1)
    _set_prior(prior, (codes - centre) @ factor, parts, owners)
    joint = parts[0]
    for part in parts[1:]:
        joint = (joint[:, :, None] * part[:, None]).reshape(len(codes), -1)
    return TreeStart(joint, centre, factor)


def _in_order(
    groups: list[list[int]], found: list[int], wanted: tuple[int, ...]
) -> list[list[int]]:
    """Groups of axes in the order of the variables whose numbers of states are like theirs."""
    left = list(range(len(groups)))
    ordered: list[list[int]] = []
    for states in wanted[: len(groups)]:
        best = min(left, key=lambda i: (abs(found[i] - states), i))
        left.remove(best)
        ordered.append(groups[best])
    return ordered


def _mixture(axes: Array, states: int, random_state: np.random.RandomState) -> Array:
    """Responsibilities of the likeliest of a few mixtures, (N, states)."""
    how = CovarianceModel(reg_covar=LEAST)
    rows = np.arange(len(axes))
    found = [
        gaussian_em(
            axes,
            kmeans_responsibilities(axes, rows, StartOptions(states), random_state),
            how,
            max_iter=200,
            tol=1e-4,
        )
        for _ in range(STARTS)
    ]
    best = max(found, key=lambda mixture: mixture.log_prob(axes).mean())
    return best.responsibilities(axes)


def _round(axes: Array, R: Array, within: float) -> Array:
    """A matrix that makes clusters round, of standard deviation ``within``."""
    means = R.T @ axes / (R.sum(0)[:, None] + 1e-6)
    residuals = axes - R @ means
    covariance = residuals.T @ residuals / len(axes) + LEAST * np.eye(axes.shape[1])
    variances, directions = np.linalg.eigh(covariance)
    return within * directions / np.sqrt(variances)


def _set_prior(prior: TreePrior, z: Array, parts: list[Array], owners: list[int]) -> None:
    moments = np.zeros((2, *prior.loc.shape))
    moments[1] = 1.0
    for d, owner in enumerate(owners):
        R = parts[owner]
        share = R / (R.sum(0) + 1e-6)
        mean = share.T @ z[:, d]
        moments[0, d, : R.shape[1]] = mean
        moments[1, d, : R.shape[1]] = np.sqrt(np.maximum(share.T @ z[:, d] ** 2 - mean**2, 0.0))
    means, stds = torch.as_tensor(moments).to(prior.loc)
    prior.set_moments(torch.as_tensor(owners).to(prior.owners), means, stds)
