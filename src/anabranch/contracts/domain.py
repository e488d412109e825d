"""Domains: where the points of a distribution, and of either end of a transform, live."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Domain(ABC):
    """A set of points: of single numbers, or of the vectors along the last axis of an event.

    Two domains fit together where one lies ``within`` the other. It is a statement about kinds, so
    that an angle is no number of the line and an integer no real number, although both could be
    written as one: a density over the one is no density over the other.

    Attributes:
        discrete: whether its points are counted, so that a density is a probability.
        elementwise: whether it is a set of single numbers.
    """

    elementwise: ClassVar[bool] = True

    @property
    def discrete(self) -> bool:
        """Whether its points are counted."""
        return False

    @abstractmethod
    def within(self, other: "Domain") -> bool:
        """Whether each of its points is one of the other domain."""

    @abstractmethod
    def contains(self, x: Tensor) -> Tensor:
        """Which of the numbers (or vectors along the last axis) of x are points of it."""


@dataclass(frozen=True)
class Interval(Domain):
    """Real numbers between two bounds; either may be infinite: a half-line, or the line.

    Args:
        lower: the lower bound.
        upper: the upper bound.

    Raises:
        ValueError: where the lower bound is not below the upper one.

    Example:
        >>> Interval(0, 1).within(REAL), REAL.within(Interval(0, 1)), POSITIVE
        (True, False, Interval(lower=0.0, upper=inf))
    """

    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"lower must be below upper, got {self.lower} and {self.upper}")

    @property
    def length(self) -> float:
        """Upper bound less lower one."""
        return self.upper - self.lower

    def within(self, other: Domain) -> bool:
        """Whether the other one is an interval with the same bounds or wider ones."""
        if isinstance(other, Product):
            return all(self.within(part) for part in other.parts)
        return isinstance(other, Interval) and (
            other.lower <= self.lower and self.upper <= other.upper
        )

    def contains(self, x: Tensor) -> Tensor:
        """Which numbers are finite and within the bounds, these included."""
        return x.isfinite() & (x >= self.lower) & (x <= self.upper)

    def __str__(self) -> str:
        if self == REAL:
            return "the line"
        return f"the interval ({self.lower:g}, {self.upper:g})"


@dataclass(frozen=True)
class Circle(Domain):
    """Angles, written as numbers from ``origin`` to ``origin + period``.

    Args:
        period: length of the circle.
        origin: where it is cut open to be written down.

    Raises:
        ValueError: for a period that is not positive and finite.

    Example:
        >>> Circle().within(REAL), Circle().contains(torch.tensor([1.0, 7.0]))
        (False, tensor([ True, False]))
    """

    period: float = 2 * math.pi
    origin: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.period < math.inf:
            raise ValueError(f"period must be positive and finite, got {self.period}")

    @property
    def length(self) -> float:
        """The period."""
        return self.period

    def within(self, other: Domain) -> bool:
        """Whether the other one is the same circle."""
        if isinstance(other, Product):
            return all(self.within(part) for part in other.parts)
        return self == other

    def contains(self, x: Tensor) -> Tensor:
        """Which numbers lie within one turn from the origin."""
        return (x >= self.origin) & (x <= self.origin + self.period)

    def __str__(self) -> str:
        return f"the circle of period {self.period:g} from {self.origin:g}"


@dataclass(frozen=True)
class Integers(Domain):
    """The integers 0..levels-1, or all integers where ``levels`` is None.

    Args:
        levels: how many.

    Raises:
        ValueError: for fewer than one level.

    Example:
        >>> Integers(2).within(Integers(256)), Integers(2).within(REAL), Integers().discrete
        (True, False, True)
    """

    levels: int | None = None

    def __post_init__(self) -> None:
        if self.levels is not None and self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}")

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    def within(self, other: Domain) -> bool:
        """Whether the other one has as many levels or more."""
        if isinstance(other, Product):
            return all(self.within(part) for part in other.parts)
        if not isinstance(other, Integers):
            return False
        return other.levels is None or (self.levels is not None and self.levels <= other.levels)

    def contains(self, x: Tensor) -> Tensor:
        """Which numbers are whole and within the levels."""
        whole = x == x.round()
        return whole if self.levels is None else whole & (x >= 0) & (x < self.levels)

    def __str__(self) -> str:
        return "all integers" if self.levels is None else f"the integers 0..{self.levels - 1}"


@dataclass(frozen=True)
class Sphere(Domain):
    """Vectors of length one along the last axis; densities are with respect to their surface.

    Example:
        >>> Sphere().contains(torch.tensor([[0.6, 0.8], [1.0, 1.0]]))
        tensor([ True, False])
    """

    elementwise: ClassVar[bool] = False

    def within(self, other: Domain) -> bool:
        """Whether the other one is the sphere."""
        return self == other

    def contains(self, x: Tensor) -> Tensor:
        """Which vectors have length one, up to rounding."""
        return (torch.linalg.vector_norm(x, dim=-1) - 1).abs() < 1e3 * torch.finfo(x.dtype).eps

    def __str__(self) -> str:
        return "the sphere"


@dataclass(frozen=True)
class Simplex(Domain):
    """Vectors along the last axis of positive numbers that sum to one.

    Example:
        >>> Simplex().contains(torch.tensor([[0.2, 0.8], [0.5, 0.6]]))
        tensor([ True, False])
    """

    elementwise: ClassVar[bool] = False

    def within(self, other: Domain) -> bool:
        """Whether the other one is the simplex."""
        return self == other

    def contains(self, x: Tensor) -> Tensor:
        """Which vectors are non-negative and sum to one, up to rounding."""
        close = (x.sum(-1) - 1).abs() < 1e3 * torch.finfo(x.dtype).eps
        return close & (x >= 0).all(-1)

    def __str__(self) -> str:
        return "the simplex"


@dataclass(frozen=True)
class Product(Domain):
    """A domain for each number along the last axis, such as the columns of a table.

    Args:
        parts: domains of single numbers.

    Raises:
        ValueError: where there is none, or one of them is a domain of vectors.

    Example:
        >>> columns = Product((POSITIVE, REAL))
        >>> columns.contains(torch.tensor([[-1.0, -1.0]])), columns.within(REAL)
        (tensor([[False,  True]]), True)
    """

    parts: tuple[Domain, ...]

    def __post_init__(self) -> None:
        if not self.parts or not all(part.elementwise for part in self.parts):
            raise ValueError(f"parts must be domains of single numbers, got {self.parts}")

    @property
    def discrete(self) -> bool:
        """Whether all parts are."""
        return all(part.discrete for part in self.parts)

    def within(self, other: Domain) -> bool:
        """Whether each part lies within the other domain, or within its part of it."""
        if isinstance(other, Product):
            pairs = zip(self.parts, other.parts, strict=False)
            return len(self.parts) == len(other.parts) and all(a.within(b) for a, b in pairs)
        return all(part.within(other) for part in self.parts)

    def contains(self, x: Tensor) -> Tensor:
        """Which numbers lie in the domain of their place."""
        columns = zip(self.parts, x.unbind(-1), strict=True)
        return torch.stack([part.contains(column) for part, column in columns], -1)

    def __str__(self) -> str:
        return ", ".join(str(part) for part in self.parts)


@dataclass(frozen=True)
class Blocks(Domain):
    """A product of spaces along the last axis, each with its own consecutive numbers.

    Where `Product` has a domain for each number, here a block of numbers has one: two angles, the
    three numbers of a place on a globe, four reals. Densities are per product of the measures of
    the blocks.

    Args:
        parts: the domain of each block.
        sizes: how many numbers each block has.

    Raises:
        ValueError: for no block, an empty one, or unlike numbers of domains and sizes.

    Example:
        >>> domain = Blocks((CIRCLE, Sphere()), (1, 2))
        >>> domain.contains(torch.tensor([[1.0, 0.6, 0.8], [1.0, 1.0, 1.0]]))
        tensor([ True, False])
    """

    elementwise: ClassVar[bool] = False

    parts: tuple[Domain, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.parts or len(self.parts) != len(self.sizes) or min(self.sizes) < 1:
            raise ValueError(
                "parts and sizes must name a domain and a positive size of each block, got "
                f"{self.parts} and {self.sizes}"
            )

    @property
    def discrete(self) -> bool:
        """Whether all parts are."""
        return all(part.discrete for part in self.parts)

    def within(self, other: Domain) -> bool:
        """Whether the other one has the same blocks, and each part lies within its part."""
        if not isinstance(other, Blocks) or self.sizes != other.sizes:
            return False
        return all(a.within(b) for a, b in zip(self.parts, other.parts, strict=True))

    def contains(self, x: Tensor) -> Tensor:
        """Which vectors have all their blocks in the domains of these."""
        pairs = zip(self.parts, x.split(self.sizes, -1), strict=True)
        inside = [p.contains(b).all(-1) if p.elementwise else p.contains(b) for p, b in pairs]
        return torch.stack(inside, -1).all(-1)

    def __str__(self) -> str:
        return ", ".join(f"{n} of {part}" for part, n in zip(self.parts, self.sizes, strict=True))


REAL = Interval()
POSITIVE = Interval(0.0)
UNIT = Interval(0.0, 1.0)
CIRCLE = Circle()
