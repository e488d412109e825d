"""Shifts of integers."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anabranch.contracts.domain import Domain, Integers
from anabranch.transforms.scalar.base import ScalarMap


@dataclass(frozen=True)
class IntegerShift(ScalarMap):
    r"""A shift by the nearest integer, :math:`z = x + \lfloor t \rceil`, term zero.

    Integers stay integers, and their probabilities are carried along. The gradient passes the
    rounding as if it were not there.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), "Integer discrete flows",
    arXiv:1905.07376.

    Example:
        >>> IntegerShift().encode(torch.tensor([1.0]), torch.tensor([[2.4]]))
        (tensor([3.]), tensor([0.]))
    """

    domain: ClassVar[Domain] = Integers()

    @property
    def n_params(self) -> int:
        """One: the shift."""
        return 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Add the rounded shift."""
        z = x + _rounded(params[0])
        return z, torch.zeros_like(z)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract it."""
        x = z - _rounded(params[0])
        return x, torch.zeros_like(x)


def _rounded(shift: Tensor) -> Tensor:
    """The nearest integer, with the gradient of the identity."""
    return shift + (shift.round() - shift).detach()
