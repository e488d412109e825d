"""What a tree of discrete variables over groups of features looks like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TreeStructure:
    r"""Discrete variables :math:`Y_1, \dots, Y_m` in a tree, and the pouches of features below.

    Attributes:
        states: (m,) number of states of each variable.
        parents: (m,) parent of each variable, which stands before it; -1 for the first, the root.
        pouches: features of each pouch; every feature is in one.
        owners: the variable that each pouch depends on.

    Raises:
        ValueError: where these do not make a tree over features 0..D-1.

    Example:
        >>> two = TreeStructure((3, 2), (-1, 0), ((0, 2), (1,)), (0, 1))
        >>> two.features, two.n_parameters, two.owned(0)
        (3, 24, (0, 2))
    """

    states: tuple[int, ...]
    parents: tuple[int, ...]
    pouches: tuple[tuple[int, ...], ...]
    owners: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("states", "parents", "owners"):
            object.__setattr__(self, name, tuple(int(value) for value in getattr(self, name)))
        pouches = tuple(tuple(int(feature) for feature in pouch) for pouch in self.pouches)
        object.__setattr__(self, "pouches", pouches)
        self._check_variables()
        self._check_pouches()

    @classmethod
    def single(cls, features: int, states: int, *, full: bool = True) -> "TreeStructure":
        """One variable over all features: a Gaussian mixture, with full covariances or diagonal.

        Example:
            >>> TreeStructure.single(3, 2, full=False).pouches
            ((0,), (1,), (2,))
        """
        pouches = [range(features)] if full else [[j] for j in range(features)]
        return cls((states,), (-1,), tuple(map(tuple, pouches)), (0,) * len(pouches))

    @property
    def features(self) -> int:
        """D."""
        return sum(len(pouch) for pouch in self.pouches)

    @property
    def n_parameters(self) -> int:
        r"""Free parameters.

        .. math:: K_1 - 1 + \sum_{i > 1} K_{p(i)} (K_i - 1)
            + \sum_b K_{o(b)} \big( d_b + d_b (d_b + 1) / 2 \big)
        """
        tables = sum(
            (1 if parent < 0 else self.states[parent]) * (states - 1)
            for states, parent in zip(self.states, self.parents, strict=True)
        )
        sizes = [(self.states[o], len(p)) for o, p in zip(self.owners, self.pouches, strict=True)]
        return tables + sum(states * (d + d * (d + 1) // 2) for states, d in sizes)

    def owned(self, variable: int) -> tuple[int, ...]:
        """The features of the pouches of a variable, in order."""
        pairs = zip(self.owners, self.pouches, strict=True)
        return tuple(sorted(j for owner, pouch in pairs if owner == variable for j in pouch))

    def plain(self) -> dict[str, Any]:
        """The same in lists, which JSON has; ``TreeStructure(**plain)`` takes it back."""
        return {
            "states": list(self.states),
            "parents": list(self.parents),
            "pouches": [list(pouch) for pouch in self.pouches],
            "owners": list(self.owners),
        }

    def _check_variables(self) -> None:
        if not self.states or min(self.states) < 1:
            raise ValueError(f"states must be positive integers, got {list(self.states)}")
        given = list(self.parents)
        ordered = all(0 <= parent < i for i, parent in enumerate(given) if i)
        if len(given) != len(self.states) or given[0] != -1 or not ordered:
            raise ValueError(
                f"parents must be -1 and then, for each of the {len(self.states)} variables, an "
                f"earlier one, got {given}"
            )

    def _check_pouches(self) -> None:
        found: Sequence[int] = sorted(feature for pouch in self.pouches for feature in pouch)
        if not found or list(found) != list(range(len(found))) or not all(self.pouches):
            raise ValueError(
                "pouches must hold each of the features 0..D-1 once, and none be empty, got "
                f"{[list(pouch) for pouch in self.pouches]}"
            )
        known = range(len(self.states))
        if len(self.owners) != len(self.pouches) or any(o not in known for o in self.owners):
            raise ValueError(
                f"owners must be a variable of 0..{len(self.states) - 1} for each of the "
                f"{len(self.pouches)} pouches, got {list(self.owners)}"
            )
