"""The contract of scalar maps."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anabranch.contracts.domain import REAL, Domain
from anabranch.functional.roots import find_root, implicit


@dataclass(frozen=True)
class ScalarMap(ABC):
    r"""A monotone map of the line with ``n_params`` parameters; the identity at parameters zero.

    ``params`` has shape (n_params, \*x.shape), or one that broadcasts to it.

    Attributes:
        domain: where its numbers live, the line if nothing else is said; it maps onto the same.
    """

    domain: ClassVar[Domain] = REAL

    @property
    @abstractmethod
    def n_params(self) -> int:
        """How many parameters one number needs."""

    @abstractmethod
    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map x to z; return z and log|dz/dx|, elementwise."""

    @abstractmethod
    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map z to x; return x and log|dx/dz|, elementwise."""


@dataclass(frozen=True)
class NumericScalarMap(ScalarMap):
    """A map whose inverse is found by search, in float64, with exact derivatives to order two."""

    @abstractmethod
    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Two points that hold the root between them, or nearly; they are widened if not."""

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Search the root, then take steps of Newton's method, which carry the derivatives.

        Raises:
            ArithmeticError: where there is no root, as with parameters that are not finite.
        """
        shape = torch.broadcast_shapes(z.shape, params.shape[1:])
        target, numbers = z.expand(shape).double(), params.double()
        lower, upper = self.bracket(target.detach(), numbers.detach())
        root = find_root(
            lambda x: self.encode(x, numbers.detach())[0], target, lower=lower, upper=upper
        )
        slope = self.encode(root, numbers)[1].exp()
        x = implicit(lambda x: self.encode(x, numbers)[0], root, target, slope)
        log_slope = self.encode(x, numbers)[1]
        return x.to(z.dtype), -log_slope.to(z.dtype)
