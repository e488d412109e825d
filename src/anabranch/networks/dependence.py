"""Who depends on whom: the graph behind masks, and the turns in which it is sampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dependence:
    """A directed acyclic graph of D features.

    Attributes:
        parents: (D, D) of booleans; ``parents[d, j]`` where feature d depends on feature j.
        levels: (D,) of integers; 0 without parents, else one more than the highest parent's.

    Example:
        >>> Dependence.ordered(4, passes=2).parents.int()
        tensor([[0, 0, 0, 0],
                [0, 0, 0, 0],
                [1, 1, 0, 0],
                [1, 1, 0, 0]], dtype=torch.int32)
    """

    parents: Tensor
    levels: Tensor

    @classmethod
    def ordered(
        cls, features: int, ordering: Sequence[int] | None = None, passes: int | None = None
    ) -> "Dependence":
        """Each feature depends on those in earlier groups of an order.

        Args:
            features: D.
            ordering: places of the features, a permutation of 0..D-1; natural order by default.
            passes: P groups of neighbours in the order; D by default, where each feature depends
                on all before it. Two groups are those of a coupling.

        Raises:
            ValueError: for an ordering that is no permutation, or passes outside 1..D.
        """
        places = torch.arange(features) if ordering is None else torch.as_tensor(list(ordering))
        if sorted(places.tolist()) != list(range(features)):
            raise ValueError(
                f"ordering must be a permutation of 0..{features - 1}, got {places.tolist()}"
            )
        passes = features if passes is None else passes
        if not 1 <= passes <= features:
            raise ValueError(f"passes must be in 1..{features}, the features, got {passes}")
        levels = places * passes // features
        return cls(levels[:, None] > levels[None, :], levels)

    @classmethod
    def from_adjacency(cls, adjacency: Sequence[Sequence[bool]] | Tensor) -> "Dependence":
        """The graph of an adjacency matrix, ``adjacency[d][j]`` where d depends on j.

        Raises:
            ValueError: where it is not square, or has a cycle, which is then named.
        """
        parents = torch.as_tensor(adjacency).to(torch.bool)
        if parents.ndim != 2 or parents.shape[0] != parents.shape[1]:
            raise ValueError(f"adjacency must have shape (D, D), got {tuple(parents.shape)}")
        sorter = TopologicalSorter({d: row.nonzero()[:, 0].tolist() for d, row in _rows(parents)})
        try:
            sorter.prepare()
        except CycleError as error:
            raise ValueError(f"adjacency has a cycle: {error.args[1]}") from error
        levels = torch.zeros(len(parents), dtype=torch.int64)
        level = 0
        while sorter.is_active():
            ready = sorter.get_ready()
            levels[list(ready)] = level
            sorter.done(*ready)
            level += 1
        return cls(parents, levels)

    def parent_sets(self, *, empty: bool) -> Tensor:
        """The different sets of parents by rising level, (G, D); with or without the empty one."""
        order = self.levels.argsort(stable=True)
        found = {tuple(row.tolist()): None for row in self.parents[order]}
        sets = torch.tensor(list(found), dtype=torch.bool)
        return sets if empty or len(sets) == 1 else sets[sets.any(1)]

    def levels_of(self, sets: Tensor) -> Tensor:
        """When all members of each set are known: one more than the highest of them; (G,)."""
        return torch.where(sets, self.levels + 1, 0).amax(1)


@dataclass(frozen=True)
class Turn:
    """What can be computed at one go, once all turns before it are done.

    Attributes:
        units: of each hidden layer, the range of units.
        places: the range of features, in order of level.
    """

    units: tuple[slice, ...]
    places: slice


def turns(features: Tensor, layers: Sequence[Tensor], *, each_level: bool = False) -> list[Turn]:
    """The turns of a masked network whose levels rise within each layer.

    Features between two levels of hidden units see the same units, and take their turn together.

    Args:
        features: (D,) levels of the features, rising.
        layers: of each hidden layer the levels of its units, rising.
        each_level: whether features of unlike levels never share a turn, as where outputs see
            features without a hidden unit between.

    Example:
        >>> turns(torch.tensor([0, 1, 2, 3]), [torch.tensor([1, 1, 3])])
        [Turn(units=(slice(0, 0, None),), places=slice(0, 1, None)),
         Turn(units=(slice(0, 2, None),), places=slice(1, 3, None)),
         Turn(units=(slice(2, 3, None),), places=slice(3, 4, None))]
    """
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), *layers, *[features] * each_level])
    found = []
    highest = int(features[-1])
    levels = [level for level in starts.unique().tolist() if level <= highest]
    for level, following in zip(levels, [*levels[1:], highest + 1], strict=True):
        units = tuple(_range(layer, level, level + 1) for layer in layers)
        found.append(Turn(units, _range(features, level, following)))
    return found


def _range(levels: Tensor, low: int, high: int) -> slice:
    first, last = torch.searchsorted(levels, torch.tensor([low, high])).tolist()
    return slice(first, last)


def _rows(matrix: Tensor) -> list[tuple[int, Tensor]]:
    return list(enumerate(matrix))
