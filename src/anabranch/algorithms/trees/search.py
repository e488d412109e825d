"""Search of the structure of a latent tree, by the Bayesian information criterion."""

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from anabranch.algorithms.trees.moves import TreePlan, build_tree, edge, tree_moves
from anabranch.algorithms.trees.stepwise_em import tree_em
from anabranch.distributions.latent_tree import LatentTree

# Rows that all candidates are compared on, and iterations of EM before.
SCREENED_ROWS, SCREENING = 500, 2
# How many candidates, each the best of one kind of move, are fitted to all rows, how long, and how
# long the one that is chosen.
FINALISTS, TRIAL, FINAL = 4, 12, 60


@dataclass
class TreeSearch:
    """What a search found.

    Attributes:
        tree: the best one.
        bic: its score, see `tree_bic`.
        path: the moves that were made, and the score after each; the start is the first.
    """

    tree: LatentTree
    bic: float
    path: list[tuple[str, float]] = field(default_factory=list)


@torch.no_grad()
def tree_bic(tree: LatentTree, z: Tensor, n: int | None = None) -> float:
    r"""The Bayesian information criterion of a tree; more is better.

    .. math:: \sum_{i=1}^N \log p(z_i) - \tfrac12\, p \log N

    Args:
        tree: with p free parameters.
        z: rows (M, D).
        n: N, where the rows stand for more than they are; M by default.

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> tree = LatentTree(TreeStructure.single(1, 1)).double()
        >>> _ = tree.loc[0].data.zero_()
        >>> round(tree_bic(tree, torch.zeros(4, 1).double()), 4)  # 4 log N(0) - log 4
        -5.062
    """
    n = len(z) if n is None else n
    fitted = float(tree.log_prob(z).mean()) * n
    return fitted - 0.5 * tree.structure.n_parameters * math.log(n)


def single_start(
    z: Tensor,
    states: int,
    *,
    full: bool = False,
    n_init: int = 1,
    reg_covar: float = 0.0,
    max_iter: int = FINAL,
    random_state: np.random.RandomState | None = None,
) -> LatentTree:
    """A tree of one variable over all features, by EM from the best k-means of a few.

    Args:
        z: rows (N, D), float64.
        states: K.
        full: one pouch with full covariances, else a pouch for each feature.
        n_init: starts of EM; the likeliest is kept.
        reg_covar: added to the variances.
        max_iter: upper limit of iterations of EM.
        random_state: source of the centres.

    Raises:
        ValueError: where a covariance becomes singular.
    """
    random_state = np.random.RandomState() if random_state is None else random_state
    features = range(z.shape[1])
    pouches = [tuple(features)] if full else [(j,) for j in features]
    found: list[tuple[float, LatentTree]] = []
    for _ in range(n_init):
        means = KMeans(states, n_init=1, random_state=random_state)  # pyright: ignore[reportArgumentType] - the stub knows no numbers
        labels = means.fit_predict(z.numpy(force=True))
        node = torch.as_tensor(np.eye(states)[labels].T).to(z)
        plan = TreePlan([node], frozenset(), pouches, [0] * len(pouches))
        tree = build_tree(plan, z, reg_covar=reg_covar)
        found.append((tree_em(tree, z, max_iter=max_iter, reg_covar=reg_covar)[-1], tree))
    return max(found, key=lambda scored: scored[0])[1]


def separate_start(
    z: Tensor,
    *,
    max_states: int = 8,
    reg_covar: float = 0.0,
    random_state: np.random.RandomState | None = None,
) -> LatentTree:
    """A tree with one variable for each feature, joined where they tell most of each other.

    The number of states is that of the mixture of Gaussians with the best score for the feature
    alone, at least two; the tree is that of Chow and Liu.

    Source: Chow, Liu (1968), "Approximating discrete probability distributions with dependence
    trees".

    Raises:
        ValueError: where a covariance becomes singular.
    """
    random_state = np.random.RandomState() if random_state is None else random_state
    columns = z.numpy(force=True).T
    nodes = [_alone(column[:, None], max_states, reg_covar, random_state) for column in columns]
    edges = chow_liu(nodes)
    pouches = [(j,) for j in range(len(nodes))]
    found = [torch.as_tensor(node.T).to(z) for node in nodes]
    tree = build_tree(
        TreePlan(found, edges, pouches, list(range(len(nodes)))), z, reg_covar=reg_covar
    )
    tree_em(tree, z, max_iter=FINAL, reg_covar=reg_covar)
    return tree


def _alone(
    column: np.ndarray, max_states: int, reg_covar: float, random_state: np.random.RandomState
) -> np.ndarray:
    """Responsibilities (N, K) of the mixture of one feature, K by its score."""
    some = column[:SCREENED_ROWS]
    with warnings.catch_warnings():
        # what it has come to is a start, and EM goes on from it
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [
            GaussianMixture(k, reg_covar=max(reg_covar, 1e-9), random_state=random_state).fit(some)
            for k in range(2, min(max_states, len(some)) + 1)
        ]
    return min(found, key=lambda mixture: mixture.bic(some)).predict_proba(column)


def chow_liu(nodes: list[np.ndarray]) -> frozenset[tuple[int, int]]:
    """The tree whose edges tell most of each other: the variables have p(y_i|z), (N, K_i) each."""
    n = len(nodes)
    weights = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            joint = nodes[i].T @ nodes[j] / len(nodes[i])
            apart = np.outer(joint.sum(1), joint.sum(0))
            # never zero, which would mean that there is no edge
            weights[i, j] = -1e-9 - (joint * np.log((joint + 1e-300) / (apart + 1e-300))).sum()
    rows, columns = minimum_spanning_tree(weights).nonzero()
    return frozenset(edge(int(a), int(b)) for a, b in zip(rows, columns, strict=True))


def climb(
    tree: LatentTree,
    z: Tensor,
    *,
    max_states: int = 8,
    max_steps: int = 50,
    reg_covar: float = 0.0,
) -> TreeSearch:
    """Make the best move while there is one that raises the score.

    The moves: one state or one variable more or less, a pouch or a branch that hangs on another
    variable, two pouches joined, and a feature taken out of one. All are fitted by a few iterations
    of EM on some rows; the best of each kind by more of them on all rows; and the best of those is
    made.

    Args:
        tree: where to start.
        z: rows (N, D), float64, in random order.
        max_states: most states that a variable may have.
        max_steps: upper limit of moves.
        reg_covar: added to the variances.
    """
    score = tree_bic(tree, z)
    result = TreeSearch(tree, score, [("start", score)])
    for _ in range(max_steps):
        name, best, score = _best_move(result.tree, z, max_states, reg_covar)
        if best is None or score <= result.bic:
            break
        result = TreeSearch(best, score, [*result.path, (name, score)])
    return result


def _best_move(
    tree: LatentTree, z: Tensor, max_states: int, reg_covar: float
) -> tuple[str, LatentTree | None, float]:
    plan, some = TreePlan.of(tree, z), z[:SCREENED_ROWS]
    leading: dict[str, tuple[float, TreePlan]] = {}
    for name, changed in tree_moves(plan, z, max_states):
        _, score = _fitted(changed.rows(len(some)), some, SCREENING, reg_covar, len(z))
        if score > leading.get(name, (-math.inf,))[0]:
            leading[name] = score, changed
    finalists = sorted(leading, key=lambda name: -leading[name][0])[:FINALISTS]
    tried = {name: _fitted(leading[name][1], z, TRIAL, reg_covar, len(z)) for name in finalists}
    if not tried:
        return "", None, -math.inf
    name, (best, score) = max(tried.items(), key=lambda item: item[1][1])
    if best is not None:
        tree_em(best, z, max_iter=FINAL, reg_covar=reg_covar)
        score = tree_bic(best, z)
    return name, best, score


def _fitted(
    plan: TreePlan, z: Tensor, max_iter: int, reg_covar: float, n: int
) -> tuple[LatentTree | None, float]:
    """The tree of a plan after some EM, and its score; none where a covariance is singular."""
    try:
        tree = build_tree(plan, z, reg_covar=reg_covar)
        tree_em(tree, z, max_iter=max_iter, reg_covar=reg_covar)
    except ValueError:  # a state that shrinks onto a few rows is no candidate
        return None, -math.inf
    return tree, tree_bic(tree, z, n)


def check_searchable(z: Tensor, max_states: int) -> None:
    """Refuse rows (N, D) and limits that no structure can be searched with."""
    if len(z) < 2 or max_states < 2:
        raise ValueError(
            f"z must have at least 2 rows, and max_states be at least 2, got {len(z)} rows and "
            f"max_states={max_states}"
        )
    if bool((z.std(0) == 0).any()):
        raise ValueError("z holds a feature that does not vary: a variance of zero has no density")


def search_tree(
    z: Tensor,
    *,
    max_states: int = 8,
    max_steps: int = 50,
    reg_covar: float = 0.0,
    random_state: np.random.RandomState | None = None,
) -> TreeSearch:
    r"""Find the structure of a latent tree by hill climbing, from two starts.

    One start is a single variable of two states over all features, the other a variable for each
    feature; the better of the two ends is taken.

    Source: Poon, Zhang, Liu, Liu (2013), "Model-based clustering of high-dimensional data: variable
    selection versus facet determination"; Li, Chen, Poon, Zhang (2019), arXiv:1803.05206. The
    second start is not theirs.

    Args:
        z: rows (N, D), float64, in random order.
        max_states: most states that a variable may have.
        max_steps: upper limit of moves from each start.
        reg_covar: added to the variances.
        random_state: source of the centres that mixtures start from.

    Raises:
        ValueError: for fewer than two rows or states, or where a feature does not vary.

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> source = torch.Generator().manual_seed(0)
        >>> y = torch.randint(2, (300, 1), generator=source)
        >>> z = 6.0 * y + torch.randn(300, 2, generator=source, dtype=torch.float64)
        >>> random_state = np.random.RandomState(0)
        >>> search_tree(z, max_states=3, random_state=random_state).tree.structure.states
        (2,)
    """
    check_searchable(z, max_states)
    random_state = np.random.RandomState() if random_state is None else random_state
    how = {"reg_covar": reg_covar, "random_state": random_state}
    starts = [single_start(z, 2, **how), separate_start(z, max_states=max_states, **how)]
    limits = {"max_states": max_states, "max_steps": max_steps, "reg_covar": reg_covar}
    return max((climb(start, z, **limits) for start in starts), key=lambda found: found.bic)
