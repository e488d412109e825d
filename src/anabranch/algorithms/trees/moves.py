"""The moves of a structure search over latent trees, each with a start for its parameters."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from anabranch.algorithms.trees.stepwise_em import maximise, moments
from anabranch.distributions.latent_tree import LatentTree
from anabranch.distributions.tree_structure import TreeStructure


class TreePlan(NamedTuple):
    """A tree that is drafted: who is joined to whom, and what each row says of the variables.

    Attributes:
        nodes: p(y_i|z) of each variable, (K_i, N).
        edges: pairs of variables, the smaller number first.
        pouches: features of each.
        owners: variable of each.
    """

    nodes: list[Tensor]
    edges: frozenset[tuple[int, int]]
    pouches: list[tuple[int, ...]]
    owners: list[int]

    @classmethod
    def of(cls, tree: LatentTree, z: Tensor) -> "TreePlan":
        """The plan of a tree as it is, with what it says of rows (N, D)."""
        structure = tree.structure
        with torch.no_grad():
            nodes = [log_p.exp() for log_p in tree.posterior(z).nodes]
        edges = frozenset((p, i) for i, p in enumerate(structure.parents) if p >= 0)
        return cls(nodes, edges, list(structure.pouches), list(structure.owners))

    def neighbours(self, variable: int) -> list[int]:
        """The variables that one is joined to."""
        return [a + b - variable for a, b in sorted(self.edges) if variable in (a, b)]

    def owned(self, variable: int) -> list[int]:
        """The numbers of its pouches."""
        return [b for b, owner in enumerate(self.owners) if owner == variable]

    def features(self, variable: int) -> list[int]:
        """The features of its pouches."""
        return [j for b in self.owned(variable) for j in self.pouches[b]]

    def rows(self, n: int) -> "TreePlan":
        """The same with the first n rows only."""
        return self._replace(nodes=[node[:, :n] for node in self.nodes])


def edge(a: int, b: int) -> tuple[int, int]:
    """A pair with the smaller number first."""
    return (a, b) if a < b else (b, a)


def build_tree(plan: TreePlan, z: Tensor, *, reg_covar: float = 0.0) -> LatentTree:
    """A tree with the parameters that a plan implies for rows (N, D), in their precision.

    Leaves without features say nothing, and are left out.

    Raises:
        ValueError: where a covariance is singular.
    """
    plan = _cleaned(plan)
    order, parents = _from_root(plan)
    place = {variable: i for i, variable in enumerate(order)}
    nodes = [plan.nodes[variable] for variable in order]
    structure = TreeStructure(
        tuple(len(node) for node in nodes),
        tuple(parents),
        tuple(plan.pouches),
        tuple(place[owner] for owner in plan.owners),
    )
    # the means it begins with are replaced at once
    tree = LatentTree(structure, generator=torch.Generator().manual_seed(0)).to(z)
    pairs = zip(nodes, parents, strict=True)
    tables = [n.mean(1) if p < 0 else nodes[p] @ n.mT / n.shape[1] for n, p in pairs]
    maximise(tree, moments(tree, z, nodes, tables), reg_covar=reg_covar)
    return tree


def _cleaned(plan: TreePlan) -> TreePlan:
    for i in range(len(plan.nodes)):
        if len(plan.nodes) > 1 and not plan.owned(i) and len(plan.neighbours(i)) < 2:
            return _cleaned(_without(plan, i))
    return plan


def _without(plan: TreePlan, variable: int) -> TreePlan:
    """Take out a variable that has no pouches, with its edges."""
    kept = [i for i in range(len(plan.nodes)) if i != variable]
    place = {i: n for n, i in enumerate(kept)}
    edges = {edge(place[a], place[b]) for a, b in plan.edges if variable not in (a, b)}
    owners = [place[owner] for owner in plan.owners]
    return TreePlan([plan.nodes[i] for i in kept], frozenset(edges), plan.pouches, owners)


def _from_root(plan: TreePlan) -> tuple[list[int], list[int]]:
    """The variables in an order with parents first, and the place of the parent of each."""
    order, parents = [0], [-1]
    for place, variable in enumerate(order):  # the list grows while it is gone through
        for other in plan.neighbours(variable):
            if other not in order:
                order.append(other)
                parents.append(place)
    return order, parents


# -- moves ---------------------------------------------------------------------------------------


def add_state(plan: TreePlan, z: Tensor, max_states: int) -> Iterator[TreePlan]:
    """Split one state of a variable across the longest axis of its rows."""
    for i, node in enumerate(plan.nodes):
        features = plan.features(i)
        if not features or len(node) >= max_states:
            continue
        own = z[:, features]
        own = (own - own.mean(0)) / (own.std(0) + 1e-12)
        for k in range(len(node)):
            high = (_along_axis(own, node[k]) > 0).to(node)
            parts = torch.stack([node[k] * high, node[k] * (1 - high)])
            yield _with_node(plan, i, torch.cat([node[:k], node[k + 1 :], parts]))


def _along_axis(own: Tensor, weights: Tensor) -> Tensor:
    share = weights / (weights.sum() + 1e-12)
    centred = own - share @ own
    axis = torch.linalg.eigh((share[:, None] * centred).mT @ centred)[1][:, -1]
    return centred @ axis


def drop_state(plan: TreePlan) -> Iterator[TreePlan]:
    """Merge two states of a variable."""
    for i, node in enumerate(plan.nodes):
        for a, b in combinations(range(len(node)), 2):
            kept = [k for k in range(len(node)) if k not in (a, b)]
            yield _with_node(plan, i, torch.cat([node[kept], (node[a] + node[b])[None]]))


def _with_node(plan: TreePlan, variable: int, node: Tensor) -> TreePlan:
    nodes = [node if i == variable else old for i, old in enumerate(plan.nodes)]
    return plan._replace(nodes=nodes)


def add_node(plan: TreePlan, z: Tensor) -> Iterator[TreePlan]:
    """Put a new variable of two states between a variable and two of its pouches."""
    new = len(plan.nodes)
    for i in range(new):
        owned = plan.owned(i)
        if len(owned) + len(plan.neighbours(i)) < 3:
            continue
        for pair in combinations(owned, 2):
            features = [j for b in pair for j in plan.pouches[b]]
            owners = [new if b in pair else owner for b, owner in enumerate(plan.owners)]
            halves = _two_means(z[:, features])
            yield TreePlan([*plan.nodes, halves], plan.edges | {(i, new)}, plan.pouches, owners)


def _two_means(own: Tensor) -> Tensor:
    """One-hot assignments to two centres, (2, N)."""
    scaled = ((own - own.mean(0)) / (own.std(0) + 1e-12)).numpy(force=True)
    labels = KMeans(2, n_init=1, random_state=0).fit_predict(scaled)  # pyright: ignore[reportArgumentType] - the stub knows no numbers
    return torch.as_tensor(np.eye(2)[labels].T).to(own)


def drop_node(plan: TreePlan) -> Iterator[TreePlan]:
    """Take out a variable; one of its neighbours takes over all that hangs on it."""
    for i in range(len(plan.nodes)):
        near = plan.neighbours(i)
        for heir in near:
            edges = {pair for pair in plan.edges if i not in pair}
            edges |= {edge(heir, other) for other in near if other != heir}
            owners = [heir if owner == i else owner for owner in plan.owners]
            yield _without(plan._replace(edges=frozenset(edges), owners=owners), i)


def relocate(plan: TreePlan) -> Iterator[TreePlan]:
    """Hang a pouch on another variable, or a branch of the tree."""
    for b, owner in enumerate(plan.owners):
        for i in range(len(plan.nodes)):
            if i != owner:
                owners = [i if c == b else old for c, old in enumerate(plan.owners)]
                yield plan._replace(owners=owners)
    for a, b in sorted(plan.edges):
        rest = plan.edges - {(a, b)}
        for root, foot in ((a, b), (b, a)):
            for i in _reached(root, rest) - {root}:
                yield plan._replace(edges=rest | {edge(i, foot)})


def _reached(variable: int, edges: frozenset[tuple[int, int]]) -> set[int]:
    found, waiting = {variable}, [variable]
    while waiting:
        here = waiting.pop()
        for a, b in edges:
            if here in (a, b) and a + b - here not in found:
                found.add(a + b - here)
                waiting.append(a + b - here)
    return found


def pouch(plan: TreePlan) -> Iterator[TreePlan]:
    """Merge two pouches of a variable: their features may then correlate within a state."""
    for i in range(len(plan.nodes)):
        for a, b in combinations(plan.owned(i), 2):
            kept = [c for c in range(len(plan.owners)) if c not in (a, b)]
            pouches = [*(plan.pouches[c] for c in kept), (*plan.pouches[a], *plan.pouches[b])]
            yield plan._replace(pouches=pouches, owners=[*(plan.owners[c] for c in kept), i])


def unpouch(plan: TreePlan) -> Iterator[TreePlan]:
    """Take one feature out of its pouch."""
    for b, features in enumerate(plan.pouches):
        for j in features if len(features) > 1 else ():
            left = tuple(other for other in features if other != j)
            pouches = [left if c == b else old for c, old in enumerate(plan.pouches)]
            yield plan._replace(pouches=[*pouches, (j,)], owners=[*plan.owners, plan.owners[b]])


def tree_moves(plan: TreePlan, z: Tensor, max_states: int) -> Iterator[tuple[str, TreePlan]]:
    """All plans that are one move away, each with the name of the move."""
    moves = {
        "add state": add_state(plan, z, max_states),
        "drop state": drop_state(plan),
        "add node": add_node(plan, z),
        "drop node": drop_node(plan),
        "relocate": relocate(plan),
        "pouch": pouch(plan),
        "unpouch": unpouch(plan),
    }
    for name, found in moves.items():
        for changed in found:
            yield name, changed
